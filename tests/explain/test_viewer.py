"""The viewer: what is packed into the page, and what the page does in a browser."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
import torch

import foveate
from foveate.explain.health import GateHealth
from foveate.explain.sampling import site_fields
from foveate.explain.viewer import ViewedImage, viewed, write_viewer

pytest.importorskip("PIL.Image")
pytest.importorskip("captum")

CLASSES = ("plus", "minus", "<b>&")


def network(name):
    torch.manual_seed(3)
    made = foveate.create_model("resnet10t", name, num_classes=3, stem="small", width=0.25).eval()
    with torch.no_grad():
        for key, weight in made.named_parameters():
            if key.endswith("offset.bias") and weight.shape == (27,):
                weight[:18].normal_(0, 2.0)
    return made


@pytest.fixture(scope="module")
def seen():
    shown = torch.randint(0, 255, (3, 40, 48), dtype=torch.uint8)
    ready = shown.float() / 255
    networks, fields = [], {}
    for label in ("none", "das", "se"):
        model = network(label)
        health = GateHealth()
        health.update(model, torch.stack([ready, ready.flip(2)]))
        networks.append(
            viewed(
                model, shown, ready, label=label, classes=CLASSES, truth=1, grid=2,
                health=health.report(),
            )
        )  # fmt: skip
        fields[label] = site_fields(model, ready[None])
    region = torch.zeros(40, 48, dtype=torch.bool)
    region[5:15, 20:30] = True
    return shown, networks, fields, region


@pytest.fixture(scope="module")
def page(seen, tmp_path_factory):
    shown, networks, _, region = seen
    images = [
        ViewedImage("one </script>", shown, tuple(networks), "class plus", region),
        ViewedImage("two", shown, tuple(networks[:2])),
    ]
    path = tmp_path_factory.mktemp("viewer") / "viewer.html"
    return write_viewer(path, images, title="Gates & places")


def packed(page):
    text = page.read_text()
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_a_network_is_seen_whole_and_left_alone(seen):
    _, (none, das, se), _, _ = seen
    assert [cam.name for cam in none.cams] == ["stage1", "stage2", "stage3", "stage4"]
    assert {cam.side for cam in none.cams} == {""} and none.gates == () and none.places is None
    sides = [(cam.name, cam.side) for cam in das.cams]
    assert sides[:2] == [("stage1", "before"), ("stage1", "after")] and len(sides) == 8
    assert len(das.gates) == 4 and das.places.shape == (4, 2)
    for gate in das.gates:
        assert gate.mean.shape == gate.passed.shape == gate.field.map_size
        assert gate.receptive.shape == (4, 40, 48)
    # A fresh residual branch ends in zeros: nothing comes, nothing is passed on.
    assert se.gates and not any(gate.passed.any() for gate in se.gates)
    assert all(gate.mean is None and gate.field is None for gate in se.gates)
    assert das.says in CLASSES and das.right == (das.says == "minus")


def test_fields_are_measured_where_they_are_asked_for(seen):
    shown, _, _, _ = seen
    where = torch.tensor([[3.0, 30.0]])
    one = viewed(network("se"), shown, shown.float() / 255, label="se", at=where)
    assert one.places.tolist() == where.tolist()
    assert one.gates[0].receptive.shape == (1, 40, 48)
    with pytest.raises(ValueError, match="inside the"):
        viewed(network("se"), shown, shown.float() / 255, label="se", at=where + 40)


def test_the_page_needs_nothing_else_and_holds_the_numbers(page, seen):
    text = page.read_text()
    assert not re.search(r"https?:|@import|<link|src=\"[^d]", text)
    assert "@@" not in text and "Gates &amp; places" in text
    first = packed(page)["images"][0]
    assert first["name"] == "one </script>" and first["caption"] == "class plus"
    region = np.repeat(np.arange(len(first["region"])) % 2, first["region"])
    assert np.array_equal(region.reshape(40, 48).astype(bool), seen[3].numpy())
    points = first["networks"][1]["gates"][1]["points"]
    field = seen[2]["das"][1]
    whole = np.frombuffer(base64.b64decode(points["data"]), "<i2").astype(float)
    whole = whole.reshape(points["height"], points["width"], points["taps"], 2) * points["scale"]
    want = field.points[0].permute(2, 3, 0, 1).numpy()
    np.testing.assert_allclose(whole, want, atol=points["scale"])
    assert points["scale"] < 0.01
    assert "over 2 images" in text and "alive" in text


def test_an_image_of_224_pixels_and_four_gated_networks_stays_small(tmp_path):
    torch.manual_seed(0)
    model = foveate.create_model("resnet10t", "das", num_classes=3, width=0.25).eval()
    noise = torch.randint(0, 255, (1, 3, 224, 224)).float()
    shown = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)[0].byte()
    one = viewed(model, shown, shown.float() / 255, label="das", grid=1)
    gates = tuple(
        type(gate)(gate.site, gate.mean, gate.passed, gate.field, gate.receptive.expand(25, -1, -1))
        for gate in one.gates
    )
    four = type(one)(**{**one.__dict__, "gates": gates})
    path = write_viewer(tmp_path / "a.html", [ViewedImage("a", shown, (four,) * 4)])
    assert path.stat().st_size < 1.5e6


def test_wrong_things_to_show_are_named(seen, tmp_path):
    shown, networks, _, _ = seen
    with pytest.raises(ValueError, match="network each"):
        write_viewer(tmp_path / "a.html", [])
    region = torch.zeros(3, 3, dtype=torch.bool)
    wrong = ViewedImage("a", shown, tuple(networks), region=region)
    with pytest.raises(ValueError, match="region"):
        write_viewer(tmp_path / "a.html", [wrong])
    with pytest.raises(ValueError, match="uint8"):
        viewed(network("none"), shown.float(), shown.float(), label="a")
    with pytest.raises(ValueError, match="prepared image"):
        viewed(network("none"), shown, torch.rand(3, 8, 8), label="a")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser, page):
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    errors, asked = [], []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(page.as_uri())
    opened.wait_for_function("panels.length === 3 && panels[0].picture.complete")
    yield opened
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    opened.close()


def read(tab, row, column):
    """The text of one cell in the table of the second network."""
    return tab.locator(".network").nth(1).locator("tbody tr").nth(row).locator("td").nth(column)


def check_place(tab, fields, y, x):
    """The points and readings at a place are those of Python."""
    for number, field in enumerate(fields):
        site = field.at(torch.tensor([[float(y), float(x)]]))
        drawn = tab.evaluate(
            f"pointsAt(imageNow().networks[1].gates[{number}], imageNow(), state.place)"
        )
        assert drawn, "no points"
        points = torch.tensor([one["point"] for one in drawn]).float()
        torch.testing.assert_close(points, site.points[0], atol=0.02, rtol=0)
        regular = torch.tensor([one["regular"] for one in drawn]).float()
        torch.testing.assert_close(regular, site.regular[0], atol=1e-3, rtol=0)
        shift = float((site.points[0] - site.regular[0]).norm(dim=1).mean())
        said = read(tab, number, 1).inner_text()
        assert said == (f"{shift:.1f} px" if shift < 9.95 else f"{shift:.0f} px")
        h, w = field.map_size
        cells = (points + 0.5) * torch.tensor([h / 40, w / 48]) - 0.5
        lost = ((cells <= -1) | (cells >= torch.tensor([h, w]))).any(1).sum()
        assert read(tab, number, 3).inner_text() == f"{int(lost)} of 9"


def test_hovering_shows_the_points_of_that_place(tab, seen):
    canvas = tab.locator("canvas").nth(1)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    tab.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    y, x = tab.evaluate("state.place")
    assert abs(y - (0.6 * 1.18 * 40 - 0.09 * 40 - 0.5)) < 0.5
    assert abs(x - (0.4 * 1.18 * 48 - 0.09 * 48 - 0.5)) < 0.5
    check_place(tab, seen[2]["das"], y, x)
    # Points are painted where they are said to be, in the color of the gate.
    inside = tab.evaluate(
        """() => {
          const gate = imageNow().networks[1].gates[3], panel = panels[1];
          const frame = frameOf(panel.canvas, imageNow());
          const pen = panel.canvas.getContext("2d");
          return pointsAt(gate, imageNow(), state.place).filter((one) => !one.outside)
            .map((one) => [...pen.getImageData(...frame.to(one.point).map(Math.round), 1, 1).data]);
        }"""
    )
    color = [int(packed_color, 16) for packed_color in ("F0", "E4", "42")]
    assert inside and sum(pixel[:3] == color for pixel in inside) >= len(inside) / 2
    tab.wait_for_timeout(500)
    said = tab.locator("#live").inner_text()
    assert said.startswith(f"Row {round(y)}, column {round(x)}") and "mean shift" in said


def test_keys_move_the_cursor_and_choose_the_side(tab, seen):
    tab.locator("canvas").nth(1).focus()
    tab.keyboard.press("Home")
    assert tab.evaluate("state.place") == [19, 23]
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Shift+ArrowLeft")
    y, x = tab.evaluate("state.place")
    assert (y, x) == (20, 22)
    check_place(tab, seen[2]["das"], y, x)
    tab.wait_for_timeout(200)
    assert tab.locator("#live").inner_text().startswith("Row 20, column 22. das: ")
    before = tab.evaluate("panels[1].canvas.toDataURL()")
    tab.keyboard.press("b")
    assert tab.locator("input[value=before]").is_checked()
    assert tab.evaluate("panels[1].canvas.toDataURL()") != before
    assert "before the gate" in tab.locator(".network").nth(1).locator(".scale").inner_text()
    chosen = tab.locator("#layer").input_value()
    tab.keyboard.press("PageDown")
    assert tab.locator("#layer").input_value() != chosen
    for _ in range(60):
        tab.keyboard.press("ArrowUp")
    assert tab.evaluate("state.place") == [0, 22]


def test_every_control_changes_what_is_drawn(tab):
    def picture(number=1):
        return tab.evaluate(f"panels[{number}].canvas.toDataURL()")

    assert tab.locator("#layer").input_value() == "cam stage4"
    tab.fill("#row", "3")
    tab.keyboard.press("Tab")
    assert tab.evaluate("state.place") == [3, 23]
    for act in (
        lambda: tab.select_option("#layer", "gate layer1"),
        lambda: tab.select_option("#layer", "field layer2"),
        lambda: tab.locator("#strength").fill("30"),
        lambda: tab.locator(".network").nth(1).locator("input[type=checkbox]").first.uncheck(),
        lambda: tab.locator("#points").uncheck(),
        lambda: tab.select_option("#layer", "image"),
    ):
        old = picture()
        act()
        assert picture() != old
    tab.select_option("#layer", "field layer2")
    # The middles of a 2 x 2 grid; row 3, column 23 is nearest the first.
    text = tab.locator(".network").nth(1).locator(".scale").inner_text()
    assert "nearest measured" in text and re.search(r"row 9\.5, column 12", text)
    assert "no receptive field" in tab.locator(".network").nth(0).locator(".scale").inner_text()
    tab.select_option("#image", "1")
    assert tab.locator(".network").count() == 2
    tab.select_option("#theme", "dark")
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.select_option("#theme", "light")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_a_phone_has_no_sideways_scroll_and_everything_has_a_name(tab):
    tab.set_viewport_size({"width": 360, "height": 740})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    unnamed = tab.evaluate(
        """() => [...document.querySelectorAll("select, input, canvas")].filter((one) =>
          !one.labels?.length && !one.getAttribute("aria-label")).length"""
    )
    assert unnamed == 0
    assert tab.locator("html").get_attribute("lang") == "en"

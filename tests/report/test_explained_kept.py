"""A look at networks as numbers, means, plot and page."""

import csv
import io
import json

import pytest
from explained_tools import edited, write_explained
from tests_report_tools import write_study

from foveate.report import read_explained
from foveate.report.explained import Explained
from foveate.report.explained_kept import means_csv
from foveate.report.explained_picture import explained_figure
from foveate.report.publish import (
    draw_missing,
    lacking,
    page_of,
    pages_of,
    publish,
    publish_explained,
)  # fmt: skip

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two networks of three seeds."""
    return write_explained(tmp_path_factory.mktemp("kept") / "explain", images=12)


def test_a_look_becomes_files_and_its_page_comes_from_the_numbers_alone(folder, tmp_path):
    page = publish_explained(folder, tmp_path, "look", "A title", "One machine only.")
    names = ["look-1.png", "look-2.png", "look.csv", "look.json", "look.md", "look.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    text = page.read_text()
    assert text.count("\n# ") == 1 and "# A title\n" in text and "- One machine only.\n" in text
    for head in ("## Scores", "## Over seeds", "## How much hangs on the settings", "## Gates",
                 "## What sfd is", "## Limits", "## Conditions"):  # fmt: skip
        assert text.count(f"{head}\n") == 1
    assert "](look.png)" in text and "](look-1.png)" in text and "](look.csv)" in text
    one = read_explained(folder).score("sfd", "das")
    assert f"| sfd | {one['mean']:.3f} [{one['low']:.3f}, {one['high']:.3f}], chance 0.4" in text
    assert "```\nfoveate explain das --against none\n```" in text
    for path in tmp_path.glob("look.*"):
        assert b"/home/me" not in path.read_bytes()
    assert (tmp_path / "look.png").read_bytes().startswith(PNG)
    page.unlink()
    assert pages_of(tmp_path)[page] == page_of(tmp_path / "look.json") == text


def test_the_index_holds_studies_and_looks_and_nothing_that_is_missing_goes_unseen(
    folder, tmp_path
):
    publish(write_study(tmp_path / "study"), tmp_path / "results", "fake")
    target = tmp_path / "results"
    publish_explained(folder, target, "look")
    index = pages_of(target)[target / "README.md"]
    assert "| [look](look.md) | das against none | 3 | By sfd at stage4 over 12 images:" in index
    assert "| [fake](fake.md) |" in index and "(chance 0.4" in index
    assert lacking(target) == []
    for name in ("look.png", "look-2.png"):
        (target / name).unlink()
    assert lacking(target) == [target / "look.png", target / "look-2.png"]
    assert draw_missing(target) == [target / "look.png"]


def test_pictures_that_are_large_or_of_an_older_look_are_not_kept(folder, tmp_path):
    (tmp_path / "look-3.png").write_bytes(PNG)
    (folder / "pictures" / "1.png").write_bytes(PNG + bytes(300_000))
    publish_explained(folder, tmp_path, "look")
    assert [path.name for path in tmp_path.glob("look-*.png")] == ["look-1.png"]
    (kept,) = json.loads((tmp_path / "look.json").read_text())["pictures"]
    assert kept["file"] == "look-1.png" and kept["name"] == "val-0"


def test_means_are_kept_by_layer_network_and_seed(folder):
    record = read_explained(folder)
    rows = list(csv.DictReader(io.StringIO(means_csv(record))))
    found = {(r["layer"], r["score"], r["network"], r["seed"]): r for r in rows}
    one = record.score("iou", "das", "stage3")
    whole = found["stage3", "iou", "das", ""]
    assert float(whole["mean"]) == pytest.approx(one["mean"], rel=1e-5)
    assert float(whole["chance"]) == pytest.approx(one["chance"], rel=1e-5)
    assert whole["images"] == "12"
    seed = found["stage3", "iou", "das", "2"]
    assert float(seed["mean"]) == pytest.approx(one["seeds"]["2"], rel=1e-5) and not seed["low"]


def test_the_plot_shows_mean_interval_chance_and_every_seed(folder):
    record = read_explained(folder)
    panels = explained_figure(record).axes
    assert [ax.get_title() for ax in panels] == record.layers
    one = record.score("sfd", "none")
    lines = [(list(line.get_xdata()), set(line.get_ydata())) for line in panels[0].lines]
    assert ([one["mean"]], {1}) in lines and ([one["chance"]], {1}) in lines
    assert (list(one["seeds"].values()), {1.2}) in lines
    ends = panels[0].containers[1].lines[2][0].get_segments()[0]
    assert [x for x, _ in ends] == pytest.approx([one["low"], one["high"]])


def test_a_look_without_scores_has_a_page_and_a_plot_too(tmp_path):
    gone = ("sfd", "sfd:same B", "pointing_game", "iou", "deletion")
    folder = write_explained(tmp_path / "x", missing=gone, pictures=0, images=4)
    edited(folder, lambda tree: tree.pop("conditions"))
    text = publish_explained(folder, tmp_path, "look").read_text()
    assert "No image has an sfd: no mask." in text and "## Scores" not in text
    assert "None" not in text
    kept = Explained(json.loads((tmp_path / "look.json").read_text()))
    assert explained_figure(kept).axes[0].texts[0].get_text() == "no image has an sfd"


def test_what_would_break_a_table_or_a_picture_is_escaped(tmp_path):
    folder = write_explained(tmp_path / "x", {"none": 0.6, "a|b": 0.7}, images=4, pictures=1)

    def change(tree):
        tree["pictures"][0] |= {"alt": "a]b <i>", "caption": "<script>"}

    text = publish_explained(edited(folder, change), tmp_path, "look").read_text()
    assert "| a\\|b |" in text and "![a)b &lt;i&gt;](look-1.png)" in text and "<script>" not in text

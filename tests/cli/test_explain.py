"""``foveate explain``, ``foveate paper figure4`` and ``foveate paper sfd``, as they are typed."""

import csv
import json

import pytest
import torch
from PIL import Image

from made_runs import make_run, make_study

pytest.importorskip("captum")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    make_run(path / "gated", "das")
    make_run(path / "plain")
    make_study(path / "study")
    return path


@pytest.fixture(autouse=True)
def _few_fields(monkeypatch):
    """Receptive fields at one place of the viewer: how many there are, others test."""
    monkeypatch.setattr("foveate.explain.showing.GRID", 1)


def write_png(path, shape, fill=None):
    image = torch.randint(0, 256, shape, dtype=torch.uint8) if fill is None else fill
    Image.fromarray(image.numpy()).save(path)


@pytest.fixture
def photos(tmp_path):
    """A folder of loose images, one of which is no image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    torch.manual_seed(0)
    for name in ("a", "b", "c"):
        write_png(folder / f"{name}.png", (40, 50, 3))
    (folder / "broken.png").write_bytes(b"not an image")
    return folder


def table(folder):
    with (folder / "scores.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def told(folder):
    return json.loads((folder / "explain.json").read_text())


def test_two_runs_against_each_other(foveate, runs, tmp_path):
    out = tmp_path / "out"
    words = ("--limit", 5, "--pictures", 2, "--view", 1, "--deletion", 2, "--quiet", "--out", out)
    code, printed, errors = foveate("explain", runs / "gated", "--against", runs / "plain", *words)
    assert code == 0, errors
    assert f"report: {out / 'report.html'}" in printed and "chance" in printed
    assert len(table(out)) == 5 * 2 * 3
    found = told(out)
    assert found["summary"]["base"] == "plain" and found["summary"]["networks"] == [
        "gated",
        "plain",
    ]
    assert list(found["summary"]["against"]["stage4"]["sfd"]) == ["gated"]
    assert "deletion" in found["summary"]["scores"]["stage4"]
    assert len(found["health"]["gated"]) == 4 and found["health"]["plain"] == []
    assert [one["file"] for one in found["pictures"]] == ["0000.png", "0001.png"]
    for name in ("report.html", "viewer.html", "pictures/0001.png"):
        assert (out / name).stat().st_size > 1000
    rows = table(out)
    mean = sum(float(r["sfd"]) for r in rows if r["network"] == "gated" and r["layer"] == "stage4")
    assert found["summary"]["scores"]["stage4"]["sfd"]["gated"]["mean"] == pytest.approx(mean / 5)


def test_the_same_command_again_scores_nothing_again(foveate, runs, tmp_path, monkeypatch):
    words = ("explain", runs / "gated", "--limit", 3, "--pictures", 0, "--view", 0, "--out",
             tmp_path / "out", "--quiet")  # fmt: skip
    assert foveate(*words)[0] == 0
    before = (tmp_path / "out" / "scores.csv").read_bytes()
    monkeypatch.setattr("foveate.explain.survey.stream.grad_cam", None)
    assert foveate(*words)[0] == 0
    assert (tmp_path / "out" / "scores.csv").read_bytes() == before
    code, _, errors = foveate(*words, "--base", 2)
    assert code == 1 and "there" in errors and "choose another folder" in errors


def test_ctrl_c_keeps_what_is_scored(foveate, runs, tmp_path, monkeypatch):
    from foveate.explain.survey import stream

    real, calls = stream.grad_cam, []

    def stop(*words, **options):
        calls.append(1)
        if len(calls) > 7:
            raise KeyboardInterrupt
        return real(*words, **options)

    out = tmp_path / "out"
    words = ("explain", runs / "gated", "--limit", 6, "--batch-size", 2, "--pictures", 0, "--view",
             0, "--quiet", "--out", out)  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(stream, "grad_cam", stop)
        code, _, errors = foveate(*words)
    assert code == 130 and "same command again" in errors and str(out) in errors
    assert len(table(out)) == 4 * 3
    assert foveate(*words)[0] == 0
    assert len(table(out)) == 6 * 3


def test_loose_images_are_explained_and_unreadable_ones_listed(foveate, runs, photos, tmp_path):
    out = tmp_path / "out"
    words = ("--view", 1, "--quiet", "--out", out)
    code, _, errors = foveate("explain", runs / "gated", photos, *words)
    assert code == 0, errors
    found = told(out)
    assert [one["image"] for one in found["left_out"]] == [str(photos / "broken.png")]
    assert found["summary"]["images"] == 3 and "broken.png" in (out / "report.html").read_text()
    flags = found["summary"]["flags"]["stage4"]["gated"]
    assert sum(flags.values()) == 3, "without regions no image has a score"
    assert len(found["pictures"]) == 3 and (out / "viewer.html").is_file()


def test_images_of_which_none_can_be_read_end_in_one_line(foveate, runs, tmp_path):
    (tmp_path / "a.png").write_bytes(b"not an image")
    code, _, errors = foveate(
        "explain", runs / "gated", tmp_path / "a.png", "--quiet", "--out", tmp_path / "out"
    )
    assert code == 1 and "at least one image that can be read; got none of 1" in errors
    assert "a.png" in errors and not (tmp_path / "out" / "explain.json").exists()


def test_masks_drawn_by_hand_are_regions(foveate, runs, photos, tmp_path):
    masks, out = tmp_path / "masks", tmp_path / "out"
    masks.mkdir()
    drawn = torch.zeros(40, 50, dtype=torch.uint8)
    drawn[10:30, 10:30] = 255
    write_png(masks / "a.png.png", (40, 50), drawn)
    code, _, errors = foveate(
        "explain", runs / "gated", photos / "a.png", "--masks", masks, "--view", 0, "--quiet",
        "--out", out,
    )  # fmt: skip
    assert code == 0, errors
    (row,) = (row for row in table(out) if row["layer"] == "stage4")
    assert row["flag"] == "" and 0 < float(row["sfd"]) <= 1


def test_a_study_is_explained_over_its_seeds(foveate, runs, tmp_path):
    out = tmp_path / "out"
    words = ("--limit", 4, "--pictures", 1, "--view", 0, "--quiet", "--out", out)
    code, _, errors = foveate("explain", runs / "study", *words)
    assert code == 0, errors
    summary = told(out)["summary"]
    assert summary["seeds"] == {"none": ["0", "1"], "das": ["0", "1"]} and summary["base"] == "none"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layers", "stage7"], "gated has stage1, stage2, stage3, stage4"),
        (["--regions", "sam"], "grounded-sam"),
        (["--explained", "truth"], "label"),
        (["--threshold", "1.5"], "threshold"),
        (["--option", "cue"], "cue=match"),
        (["--against", "GATED"], "networks of different names"),
        (["--size", "99"], "no size for a run"),
        (["--regions", "grounded-sam", "--detector", "nowhere/none"], "--detector"),
    ],
)
def test_wrong_words_end_in_one_line(foveate, runs, tmp_path, words, message):
    words = [str(runs / "gated") if word == "GATED" else word for word in words]
    code, _, errors = foveate(
        "explain",
        runs / "gated",
        "scenes",
        "--limit",
        2,
        *words,
        "--quiet",
        "--out",
        tmp_path / "o",
    )
    assert code == 1 and message in errors and "Traceback" not in errors
    assert not (tmp_path / "o" / "scores.csv").exists()


def test_figure_4_is_drawn(foveate, runs, tmp_path):
    code, printed, errors = foveate(
        "paper", "figure4", "--weights", runs / "plain", "--weights", runs / "gated",
        "--limit", 2, "--out", tmp_path, "--quiet",
    )  # fmt: skip
    assert code == 0, errors
    assert str(tmp_path / "figure4.png") in printed
    assert (tmp_path / "figure4.png").stat().st_size > 5000
    code, _, errors = foveate("paper", "figure4")
    assert code == 1 and "--weights" in errors
    code, _, errors = foveate("paper", "figure4", "--weights", runs / "plain", "--seeds", 3)
    assert code == 1 and "--seeds expects an ablation" in errors


def test_the_study_of_sfd_stands_beside_the_published_scores(foveate, runs, tmp_path):
    out = tmp_path / "runs" / "mine"
    code, printed, errors = foveate(
        "paper", "sfd", "--weights", runs / "study", "--limit", 2, "--out", out, "--quiet"
    )
    assert code == 0, errors
    assert "0.72" in printed and "2 images of scenes" in printed
    mean = told(out)["summary"]["scores"]["stage4"]["sfd"]["das"]["mean"]
    code, printed, _ = foveate("paper", "sfd", "--runs", tmp_path / "runs", "--format", "json")
    rows = json.loads(printed)["rows"]
    assert [row.get("here") for row in rows] == [None, None, "mine"]
    assert rows[2]["sfd"]["das"]["mean"] == mean
    code, printed, _ = foveate("paper", "sfd", "--runs", out, "--format", "json")
    assert json.loads(printed)["rows"][2]["here"] == "mine"
    code, printed, _ = foveate("paper", "sfd", "--runs", runs)
    assert code == 0 and "not run" in printed


def test_the_command_shows_an_example(foveate):
    code, printed, _ = foveate("explain", "--help")
    assert code == 0 and "foveate explain runs/das-seed0 --against runs/none-seed0" in printed


def test_small_things():
    from foveate.cli.explain import _options, _slug

    assert _options(["cue=match", "far_fraction=0.5"]) == {"cue": "match", "far_fraction": 0.5}
    assert _slug("runs/das-seed0/") == "das-seed0" and _slug("coco:x") == "coco-x"

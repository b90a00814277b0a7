"""Regions found by words from the command line: images in, masks, contact sheet and scores out."""

import csv
import json

import pytest
import torch
from PIL import Image

from foveate.cli import main
from made_runs import make_run

pytest.importorskip("captum")
pytest.importorskip("transformers")


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code or 0


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("one", "two"):
        pixels = torch.randint(0, 256, (36, 44, 3), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{name}.png")
    return folder


def test_masks_are_found_kept_shown_and_scored(models, photos, tmp_path, monkeypatch, capsys):
    net, out = make_run(tmp_path / "net", "das"), tmp_path / "out"
    words = (
        "explain", net, photos, "--regions", "grounded-sam", "--prompt", "{class}. cat",
        "--detector", models / "dino", "--segmenter", models / "sam2",
        "--box-threshold", 0.01, "--text-threshold", 0.01,
        "--pictures", 1, "--view", 0, "--quiet", "--out", out,
    )  # fmt: skip
    assert run(*words) == 0, capsys.readouterr().err
    settings = json.loads((out / "explain.json").read_text())["settings"]["regions"]
    assert settings["prompt"] == "{class}. cat" and settings["box_threshold"] == 0.01
    for model in ("detector", "segmenter"):
        assert len(json.dumps(settings[model])) > 64, "a digest is part of the provenance"
    sheet = (out / "contact-sheet.html").read_text()
    assert "one.png" in sheet and "two.png" in sheet
    with (out / "scores.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["layer"] == "stage4"]
    assert len(rows) == 2
    for row in rows:  # A random detector may find nothing; then that is said, and not scored.
        assert bool(row["sfd"]) == (row["flag"] == "")
    kept = {path.name for path in (out / "regions").iterdir()}
    # Again, with models that must not be asked: what was found is read.
    (out / "scores.csv").unlink()
    monkeypatch.setattr("foveate.explain.regions.weights.Checkpoint.load", None)
    assert run(*words) == 0, capsys.readouterr().err
    assert {path.name for path in (out / "regions").iterdir()} == kept


def test_absent_models_are_one_clear_error(photos, tmp_path, capsys):
    net = make_run(tmp_path / "net", "das")
    code = run(
        "explain", net, photos, "--regions", "grounded-sam", "--quiet", "--out", tmp_path / "o"
    )
    error = capsys.readouterr().err
    assert code == 1 and "--detector FOLDER" in error and "HF_HUB_OFFLINE" in error
    assert error.count("\n") == 1

"""``foveate stereo`` from the shell: scenes, train, evaluate, predict, compare."""

import json

import pytest

from foveate.training.toml import write_toml

TINY = {
    "task": "stereo",
    "name": "tiny",
    "data": {"source": "scenes", "size": 32, "width": 48, "options": {"pieces": 2}},
    "model": {
        "name": "resnet10t",
        "preset": "small",
        "width": 0.25,
        "head": {
            **{"channels": 8, "features": 8, "hidden": 8, "context": 8},
            **{"reach": 3, "iterations": 2},
        },
    },
    "train": {"epochs": 1, "batch_size": 4, "lr": 0.002, "tensorboard": False},
}


def test_from_pairs_to_disparities(foveate, tmp_path):
    data, run = tmp_path / "pairs", tmp_path / "run"
    made = ("--count", 4, "--val", 2, "--size", 32, "--max-disparity", 8, "--quiet")
    code, out, err = foveate("stereo", "scenes", data, *made)
    assert code == 0 and "4 pairs to train and 2 to validate" in out, err
    write_toml(tmp_path / "tiny.toml", TINY)
    given = ("--data", data, "--out", run, "--quiet", "--set", "model.attention=das")
    code, out, err = foveate("stereo", "train", tmp_path / "tiny.toml", *given)
    assert code == 0, err
    assert "EPE" in out and "D1" in out and f"run folder: {run}" in out
    code, out, err = foveate("stereo", "evaluate", run, "--json", "--quiet")
    result = json.loads((run / "result.json").read_text())
    assert code == 0 and json.loads(out)["epe"] == pytest.approx(result["epe"], rel=1e-6), err
    (data / "val/right/000001.png").write_bytes(b"")
    code, out, err = foveate("stereo", "evaluate", run, "--iterations", 1, "--quiet")
    assert code == 0 and "left out: 1" in out and "right/000001.png: empty file" in out, err
    views = ("--left", data / "val/left", "--right", data / "val/right", "--out", tmp_path / "o")
    code, out, err = foveate("stereo", "predict", run, *views, "--quiet")
    assert code == 0 and "disparities of 1 pairs" in out and "000001: empty file" in out, err
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["000000.pfm", "000000.png"]
    code, _, err = foveate("stereo", "predict", run, "--left", data / "none", "--right", data)
    assert code == 1 and "predict expects an image or a folder of images" in err


@pytest.mark.slow
def test_a_comparison_writes_a_report_in_pixels(foveate, tmp_path):
    tree = {**TINY, "data": {**TINY["data"], "limit_train": 4, "limit_val": 2}}
    tree["data"]["options"] = {"max_disparity": 8.0, "pieces": 2}
    write_toml(tmp_path / "tiny.toml", tree)
    study = tmp_path / "study"
    words = ("--recipe", tmp_path / "tiny.toml", "--attentions", "none,se", "--seeds", 2)
    code, out, err = foveate("stereo", "compare", *words, "--images", 1, "--out", study, "--quiet")
    assert code == 0, err
    assert "End-point error: validation EPE" in out and "to none, px" in out
    page = (study / "report.html").read_text()
    assert "Down and to the left is better" in page and "EPE seen px" in page
    assert "less is better" in page and "What the stereo networks find" in page
    pictures = json.loads((study / "pictures.json").read_text())
    assert len(pictures) == 1 and "se" in pictures[0]["alt"]
    again, out, err = foveate("stereo", "compare", *words, "--images", 0, "--out", study, "--quiet")
    assert again == 0, err

"""``foveate segment`` from the shell: train, evaluate, predict, compare."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from foveate.cli import main
from foveate.cli._recipes import chosen_recipe, options_for
from foveate.segmentation import SegmentationRecipe
from foveate.training.toml import write_toml

TINY = {
    "task": "segmentation",
    "data": {
        "source": "scenes",
        "size": 48,
        "max_size": 48,
        "limit_train": 8,
        "limit_val": 4,
        "augment": "flip",
        "options": {"classes": 4, "cue": "none", "scale": 0.5},
    },
    "model": {
        "name": "resnet10t",
        "width": 0.25,
        "head": "fpn",
        "head_options": {"channels": 16, "branch": 16},
    },
    "train": {"epochs": 1, "batch_size": 4, "lr": 0.02, "schedule": "constant"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the recipe of a tiny segmenter."""
    folder = tmp_path_factory.mktemp("segment")
    write_toml(folder / "tiny.toml", TINY)
    return folder


@pytest.fixture(scope="module")
def run(home):
    """A finished run."""
    words = ("segment", "train", home / "tiny.toml", "--out", home / "run")
    told = io.StringIO()
    with contextlib.redirect_stdout(told), pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, "--set", "model.attention=das", "--quiet")])
    assert not ended.value.code
    assert "mIoU" in told.getvalue() and "at stride 32" in told.getvalue()
    assert f"run folder: {home / 'run'}" in told.getvalue()
    return home / "run"


def test_other_data_have_no_options_of_scenes(home):
    def options(data, change=()):
        recipe = home / "tiny.toml"
        plan, _ = chosen_recipe(
            recipe, SegmentationRecipe, None, None, [*change], lambda _: data, options_for(data)
        )
        return plan.data.options

    assert options("scenes") == TINY["data"]["options"]
    assert options("photos") == {}
    assert options("photos", ["data.options={count=3}"]) == {"count": 3}


def test_a_finished_run_is_evaluated(foveate, run, tmp_path):
    code, out, err = foveate("segment", "evaluate", run, "--out", tmp_path / "e", "--quiet")
    assert code == 0, err
    assert "IoU" in out and "background" in out
    kept = json.loads((run / "result.json").read_text())
    found = json.loads((tmp_path / "e/result.json").read_text())
    assert found["confusion"] == kept["confusion"] and found["miou"] == kept["miou"]
    code, out, _ = foveate("segment", "evaluate", run, "--json", "--quiet")
    assert code == 0 and json.loads(out)["miou"] == kept["miou"]


def test_masks_and_pictures_of_files_and_folders(foveate, run, tmp_path):
    (tmp_path / "in").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in/one.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    code, out, err = foveate(
        *("segment", "predict", run, tmp_path / "in", tmp_path / "broken.png"),
        *("--out", tmp_path / "found", "--quiet"),
    )
    assert code == 0, err
    assert "masks of 1 images" in out and "broken.png: not an image" in out
    tree = json.loads((tmp_path / "found/predictions.json").read_text())
    assert len(tree["images"]) == 1 and len(tree["unreadable"]) == 1
    with Image.open(tmp_path / "found" / tree["images"][0]["mask"]) as mask:
        assert mask.size == (52, 40) and mask.mode == "P"
        assert np.asarray(mask).max() < 5
    assert (tmp_path / "found" / tree["images"][0]["picture"]).is_file()


@pytest.mark.slow
def test_a_comparison_is_reported_with_its_pictures(foveate, home, tmp_path):
    words = (
        *("segment", "compare", "--recipe", home / "tiny.toml", "--seeds", "2"),
        *("--attentions", "none,cca", "--out", tmp_path / "study", "--images", "1", "--quiet"),
    )
    code, out, err = foveate(*words)
    assert code == 0, err
    assert "mIoU" in out and "report.html" in out
    pictures = json.loads((tmp_path / "study/pictures.json").read_text())
    assert len(pictures) == 1 and "right: none" in pictures[0]["alt"]
    page = (tmp_path / "study/report.html").read_text()
    for text in ("Intersection over union", "What the segmenters find", "IoU % of each class"):
        assert text in page
    costs = json.loads((tmp_path / "study/costs.json").read_text())
    assert costs["cca"]["params"] > costs["none"]["params"]
    assert costs["cca"]["macs"] > costs["none"]["macs"] > 0
    assert foveate(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("train", "absent.toml"), "absent.toml"),
        (("evaluate", "absent"), "a finished run"),
        (("predict", "absent", "photo.jpg"), "absent"),
        (("compare", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_line(foveate, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    code, _, err = foveate("segment", *words)
    assert code == 1 and text in err and len(err.strip().splitlines()) == 1

"""``foveate detect`` from the shell: train, evaluate, predict, compare, convert."""

import contextlib
import io
import json

import pytest

from foveate.cli import main
from foveate.data.scenes import SceneOptions
from foveate.data.scenes.writer import write_scenes
from foveate.training.toml import write_toml

TINY = {
    "task": "detection",
    "data": {"source": "data/none", "size": 48, "max_size": 48},
    "model": {
        "name": "resnet10t",
        "preset": "small",
        "batch_norm": "train",
        "width": 0.25,
        "detector_options": {"proposals": [20, 10], "box_batch": 16, "fpn_channels": 16},
    },
    "train": {"epochs": 1, "batch_size": 4, "lr": 0.02, "milestones": [], "schedule": "constant"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set in COCO's layout, and the recipe of a tiny detector."""
    folder = tmp_path_factory.mktemp("detect")
    options = SceneOptions(classes=4, cue="none")
    write_scenes(folder / "scenes", count=8, val=4, size=48, options=options)
    write_toml(folder / "tiny.toml", TINY)
    return folder


@pytest.fixture(scope="module")
def run(data):
    """A finished run."""
    words = ("detect", "train", data / "tiny.toml", "--data", data / "scenes")
    more = ("--out", data / "run", "--set", "model.attention=das", "--quiet")
    told = io.StringIO()
    with contextlib.redirect_stdout(told), pytest.raises(SystemExit) as ended:
        main([str(word) for word in (*words, *more)])
    assert not ended.value.code
    assert "AP50" in told.getvalue() and f"run folder: {data / 'run'}" in told.getvalue()
    return data / "run"


def test_a_finished_run_is_evaluated_and_its_files_are_cocos(foveate, run, tmp_path):
    code, out, err = foveate("detect", "evaluate", run, "--out", tmp_path / "e", "--quiet")
    assert code == 0, err
    assert "disc" in out and "of 1 objects" in out
    assert (tmp_path / "e/curves.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / "e/detections.json").read_text())
    assert found == json.loads((run / "detections.json").read_text())
    code, out, _ = foveate("detect", "evaluate", run, "--json", "--quiet")
    assert (
        code == 0 and json.loads(out)["ap"] == json.loads((run / "result.json").read_text())["ap"]
    )


def test_objects_are_found_in_files_and_folders(foveate, run, data, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    image = next((data / "scenes/val").rglob("*.png"))
    code, out, err = foveate(
        *("detect", "predict", run, data / "scenes/val", image, tmp_path / "broken.png"),
        *("--out", tmp_path / "found", "--threshold", "0.01", "--quiet"),
    )
    assert code == 0, err
    assert "in 5 images" in out and "broken.png: not an image" in out
    tree = json.loads((tmp_path / "found/predictions.json").read_text())
    assert len(tree["images"]) == 5 and len(tree["unreadable"]) == 1
    ids = {one["id"] for one in tree["images"]}
    assert tree["annotations"] and {one["image_id"] for one in tree["annotations"]} <= ids
    assert all(one["score"] >= 0.01 for one in tree["annotations"])
    assert all((tmp_path / "found" / one["picture"]).is_file() for one in tree["images"])


def test_a_comparison_draws_what_each_network_finds(foveate, data, tmp_path):
    words = (
        *("detect", "compare", data / "scenes", "--recipe", data / "tiny.toml", "--seeds", "2"),
        *("--attentions", "none,se", "--out", tmp_path / "study", "--images", "1", "--quiet"),
    )
    code, out, err = foveate(*words)
    assert code == 0, err
    assert "AP" in out and "report.html" in out
    pictures = json.loads((tmp_path / "study/pictures.json").read_text())
    assert len(pictures) == 1 and "boxes found by none" in pictures[0]["alt"]
    assert (tmp_path / "study" / pictures[0]["file"]).is_file()
    costs = json.loads((tmp_path / "study/costs.json").read_text())
    assert costs["se"]["params"] > costs["none"]["params"] and costs["none"]["macs"] > 0
    again = foveate(*words)
    assert again[0] == 0


@pytest.mark.filterwarnings("ignore:1 unreadable images are left out")
def test_what_is_wrong_in_annotations_is_told_in_full_and_refused_if_asked(foveate, data, tmp_path):
    source = data / "scenes"
    tree = json.loads((source / "annotations/train.json").read_text())
    for number in (0, 1):
        tree["annotations"][number]["bbox"] = [0, 0, 0, 5]
    tree["annotations"][2]["category_id"] = 99
    tree["images"].append({"id": 77, "file_name": "gone.png", "width": 48, "height": 48})
    file = tmp_path / "annotations" / "train.json"
    file.parent.mkdir()
    file.write_text(json.dumps(tree))
    (tmp_path / "annotations/val.json").write_bytes((source / "annotations/val.json").read_bytes())
    for split in ("train", "val"):
        (tmp_path / split).symlink_to(source / split)
    words = ("detect", "train", data / "tiny.toml", "--data", tmp_path, "--out", tmp_path / "run")
    code, out, err = foveate(*words, "--set", "data.strict=true", "--quiet")
    assert code == 1 and "gone.png" in err and "99" in err and "area" in err
    assert not (tmp_path / "run").exists()
    code, out, err = foveate(*words, "--quiet")
    assert code == 0, err
    assert "gone.png" in err and "gone.png" in out
    assert json.loads((tmp_path / "run/result.json").read_text())["problems"]["train"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("train", "absent.toml"), "absent.toml"),
        (("evaluate", "absent"), "a finished run"),
        (("predict", "absent", "photo.jpg"), "absent"),
        (("convert", "somewhere", "out"), "voc:FOLDER"),
        (("compare", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_line(foveate, tmp_path, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    code, _, err = foveate("detect", *words)
    assert code == 1 and text in err and len(err.strip().splitlines()) == 1

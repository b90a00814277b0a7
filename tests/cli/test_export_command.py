"""``foveate export``, as it is typed."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from made_runs import make_run, make_study

pytest.importorskip("onnxruntime")
pytest.importorskip("captum")

# Nothing open: tracing open sizes takes ten times as long, and other tests do it.
QUICK = ("--fixed", "--no-latency")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    make_run(path / "gated", "das")
    return path


def test_a_run_becomes_a_file_checked_on_its_own_images(foveate, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed, errors = foveate("export", runs / "gated", "--check", *QUICK)
    assert code == 0, errors
    assert "exporting resnet10t with das, 8 classes" in printed
    assert "on 8 images of scenes, validation, 1 shapes; same class in 100 %" in printed
    assert "tracing the network ..." in errors and "checking 1 x 3 x 32 x 32 ..." in errors
    told = json.loads(Path("exported/gated.onnx.json").read_text())
    assert (told["network"], told["attention"], told["deform"]) == (
        "resnet10t",
        "das",
        "deformconv",
    )
    assert told["classes"][0] == "disc-warm" and told["preparation"]["resize"] == 32
    code, _, errors = foveate("export", runs / "gated", *QUICK, "--quiet")
    assert code == 1 and "gated.onnx'; choose another name, or pass --force" in errors


def test_a_folder_of_images_is_what_it_is_checked_on(foveate, runs, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        pixels = torch.randint(0, 256, (40, 50, 3), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / "photos" / f"{name}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no image")
    words = ("--images", tmp_path / "photos", "--out", tmp_path / "net.pt2", "--quiet")
    code, printed, errors = foveate(
        "export", runs / "gated", "--to", "torch-export", *QUICK, *words
    )
    assert (code, errors) == (0, "")
    assert f"on 2 images of {tmp_path / 'photos'}, 1 shapes" in printed


def test_a_study_and_a_wrong_word_are_one_clear_error(foveate, runs, tmp_path):
    study = make_study(tmp_path / "study", attentions=("none",), seeds=(0,))
    code, _, errors = foveate("export", study, *QUICK, "--quiet")
    assert code == 1 and "foveate: export expects one run of a study" in errors
    code, _, errors = foveate("export", runs / "gated", "--to", "onxx", *QUICK, "--quiet")
    assert code == 1 and "did you mean 'onnx'" in errors
    code, _, errors = foveate("export", "resnet1888", *QUICK, "--quiet")
    assert code == 1 and "resnet1888" in errors and "Traceback" not in errors


def test_ctrl_c_says_that_nothing_is_left(foveate, runs, tmp_path, monkeypatch):
    from foveate.export import export

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "compare", stop)
    out = tmp_path / "out" / "net.pt2"
    words = ("--to", "torch-export", "--out", out, *QUICK, "--quiet")
    code, _, errors = foveate("export", runs / "gated", *words)
    assert code == 130 and "foveate: interrupted; no file was written" in errors
    assert list(out.parent.iterdir()) == []


def test_a_detector_exports_its_backbone_and_says_so(foveate, tmp_path):
    from foveate.detection import create_detector, save_detector

    detector = create_detector(
        "retinanet", "resnet10t", "das", classes=3, preset="small", size=(64, 64), width=0.25
    )
    with torch.no_grad():
        for name, weight in detector.named_parameters():
            if ".offset." in name:
                weight.add_(0.2 * torch.randn_like(weight))
    save_detector(detector, tmp_path / "detector")
    out = tmp_path / "trunk.onnx"
    code, printed, errors = foveate(
        "export", tmp_path / "detector", "--out", out, *QUICK, "--quiet"
    )
    assert code == 0, errors
    assert "the pyramid of a retinanet, without its heads: maps stride4, stride8" in printed
    assert "no images are known: checking on seeded noise" in printed
    told = json.loads((tmp_path / "trunk.onnx.json").read_text())
    assert told["outputs"] == ["stride4", "stride8", "stride16", "stride32"]
    assert told["part"] == "backbone and pyramid of a detector, without its heads"
    from foveate.export import load_exported

    maps = load_exported(out)(torch.rand(1, 3, 64, 64))
    assert [one.shape[2] for one in maps] == [16, 8, 4, 2]
    assert all(map_.abs().max() > 0 for map_ in maps)

"""The examples run, on small sizes, and show what they say."""

import importlib.util
from pathlib import Path

import pytest

import foveate
from foveate.surgery import inserted

pytest.importorskip("timm")
EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_says_what_it_shows_and_is_tested():
    here = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert path.read_text(encoding="utf-8").startswith('"""'), path.name
        assert f'"{path.stem}"' in here, path.name


def test_the_plain_loop_runs_and_saves(tmp_path):
    words = ["--images", "16", "--epochs", "1", "--out", str(tmp_path)]
    assert 0 <= example("plain_loop").main(words) <= 1
    assert list(inserted(foveate.load(tmp_path))) == ["layer1", "layer2", "layer3", "layer4"]


@pytest.mark.slow
def test_the_plain_loop_learns():
    assert example("plain_loop").main([]) > 0.9


def test_a_detector_made_of_a_list_of_layers_takes_gates():
    assert example("ultralytics_style").main(["--size", "64"])


@pytest.mark.slow
def test_a_detector_of_ultralytics_takes_gates(monkeypatch, tmp_path):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "1")
    reason = "ultralytics (AGPL-3.0) is in no extra of foveate"
    pytest.importorskip("ultralytics", reason=reason)
    assert example("ultralytics_style").main(["--real", "yolo11n.yaml", "--size", "64"])


@pytest.mark.slow
def test_networks_of_smp_take_gates_by_insertion_and_by_name(capsys):
    reason = "segmentation_models_pytorch is in no extra of foveate"
    pytest.importorskip("segmentation_models_pytorch", reason=reason)
    smp_style = example("smp_style")
    found = smp_style.main(["--steps", "6", "--size", "64"])
    assert "the output is what it was: True" in capsys.readouterr().out
    assert all(losses[-1] < losses[0] for losses in found.values())
    names = smp_style.named().state_dict()
    assert any(".foveate." in name for name in names)

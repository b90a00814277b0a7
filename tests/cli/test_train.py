"""``foveate train`` and ``foveate evaluate``."""

import json

import pytest

from foveate.training import RunFolder
from foveate.training.classifier import Classifier

RECIPE = """
[data]
size = 32
limit_train = 16
limit_val = 8
[model]
name = "test_resnet"
[train]
epochs = 2
batch_size = 8
lr = 0.05
tensorboard = false
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_train_then_evaluate(foveate, recipe):
    code, out, err = foveate("train", recipe, "--seed", 3, "--set", "train.epochs=1")
    assert code == 0
    run = RunFolder("runs/tiny-seed3")
    assert run.recipe.seed == 3
    assert run.result["epochs"] == 1
    assert f"top-1 {100 * run.result['top1']:.2f} %" in out
    assert "on 8 images" in out
    assert "run folder: runs/tiny-seed3" in out
    assert "val top-1" in err

    code, out, _ = foveate("evaluate", run.path, "--json")
    assert code == 0
    measured = json.loads(out)
    assert measured["top1"] == pytest.approx(run.result["top1"])
    assert sum(entry["images"] for entry in measured["classes"].values()) == 8
    code, out, _ = foveate("evaluate", run.path)
    assert all(name in out for name in measured["classes"])


def test_data_are_found_where_they_are_said_to_lie(foveate, recipe):
    code, _, err = foveate("train", recipe, "--data", "absent-folder")
    assert code == 1
    assert "absent-folder" in err
    recipe.write_text(RECIPE.replace("[data]", '[data]\nsource = "imagenet"'))
    code, _, err = foveate("train", recipe, "--data", recipe.parent)
    assert code == 1
    assert "ILSVRC2012_img_train.tar" in err
    assert "https://image-net.org" in err
    code, _, _ = foveate("train", recipe, "--data", "scenes", "--quiet", "--set", "train.epochs=1")
    assert code == 0
    assert RunFolder("runs/tiny-seed0").recipe.data.source == "scenes"


def test_ctrl_c_and_resume_from_the_folder(foveate, recipe, monkeypatch):
    real = Classifier.training_step

    def step(self, batch, batch_idx):
        if self.current_epoch == 1:
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", step)
        code, _, err = foveate("train", recipe, "--out", "r", "--quiet")
    assert code == 130
    assert "1 of 2 epochs are finished" in err
    assert "--resume" in err
    code, _, err = foveate("train", recipe, "--out", "r", "--quiet")
    assert code == 1
    assert "unfinished run; pass --resume" in err
    code, out, _ = foveate("train", "r", "--resume", "--quiet")
    assert code == 0
    assert RunFolder("r").result["epochs"] == 2
    assert "run folder: r" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "train.epoch=1"], "did you mean 'epochs'"),
        (["--set", "epochs"], "expects KEY=VALUE"),
        (["--set", "model.attention=dass"], "did you mean 'das'"),
        (["--set", 'data.source="nowhere"'], "open_dataset expects"),
    ],
)
def test_mistakes_are_one_clear_error(foveate, recipe, words, message):
    code, _, err = foveate("train", recipe, "--quiet", *words)
    assert code == 1
    assert message in err
    assert "Traceback" not in err
    assert not (recipe.parent / "runs").exists()


def test_evaluate_wants_a_finished_run(foveate, recipe):
    code, _, err = foveate("evaluate", "runs/absent")
    assert code == 1
    assert "finished run" in err


@pytest.mark.slow
def test_two_processes_train_as_one(recipe):
    """Lightning's DDP starts a second process of the same command."""
    import os
    import subprocess
    import sys

    words = ["train", str(recipe), "--out", "two", "--quiet"]
    words += ["--set", "train.devices=2", "--set", 'train.accelerator="cpu"']
    words += ["--set", "data.limit_val=9"]
    done = subprocess.run(
        [sys.executable, "-m", "foveate", *words],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    run = RunFolder("two")
    # 9 images in two shares: each counts once.
    assert run.result["images"] == 9
    assert len(run.metrics) == 2
    assert done.stdout.count("run folder") == 1

"""Training end to end: a run folder that says the truth, and that survives what may happen."""

import errno
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from foveate.models import create_model
from foveate.surgery import inserted
from foveate.training import Interrupted, RunFolder, evaluate, load_recipe, starting, train
from foveate.training import trainer as trainer_module
from foveate.training.classifier import Classifier
from support import drop_before_

COLUMNS = (
    *("epoch", "lr", "train_loss", "train_top1", "val_loss", "val_top1", "val_top5", "seconds"),
)
EXACT = COLUMNS[:-1]


def numbers(run):
    return [[row[name] for name in EXACT] for row in run.metrics]


def interrupt_in_epoch(monkeypatch, epoch, batch=1):
    """Press Ctrl-C in the given batch of an epoch (from 0)."""
    real = Classifier.training_step

    def step(self, data, batch_idx):
        if self.current_epoch == epoch and batch_idx == batch:
            raise KeyboardInterrupt
        return real(self, data, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", step)


def test_a_run_folder_holds_all_it_promises(recipe, tmp_path):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    run = train(recipe, tmp_path / "run", progress=False)
    assert torch.equal(torch.get_rng_state(), state), "the caller's generator was touched"

    assert load_recipe(run.path / "config.toml") == recipe == run.recipe
    assert run.metrics_path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert [row["epoch"] for row in run.metrics] == [1, 2, 3]
    assert run.is_finished
    result, last = run.result, run.metrics[-1]
    assert (result["top1"], result["top5"]) == (last["val_top1"], last["val_top5"])
    assert result["loss"] == last["val_loss"]
    assert (result["images"], result["epochs"], result["unreadable"]) == (16, 3, [])
    values = [row["val_top1"] for row in run.metrics]
    assert result["best_epoch"] == values.index(max(values)) + 1
    environment = json.loads((run.path / "environment.json").read_text())
    assert environment["seed"] == 0
    assert environment["versions"]["torch"] == torch.__version__.split("+")[0]
    assert environment["started"] <= environment["ended"]
    assert run.last_checkpoint.is_file()
    assert run.best_checkpoint.is_file()

    model = run.load_model()
    assert not model.training
    assert sum(p.numel() for p in model.parameters()) == result["params"]
    again = evaluate(run)
    assert (again["top1"], again["top5"]) == (result["top1"], result["top5"])
    assert again["loss"] == pytest.approx(result["loss"], rel=1e-5)


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(recipe, tmp_path):
    short = recipe.changed(**{"train.epochs": 1})
    runs = [train(short, tmp_path / name, progress=False) for name in "ab"]
    other = train(short.changed(seed=1), tmp_path / "c", progress=False)
    weights = [load_file(run.path / "model.safetensors") for run in (*runs, other)]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not all(torch.equal(weights[0][key], weights[2][key]) for key in weights[0])
    assert numbers(runs[0]) == numbers(runs[1]) != numbers(other)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(
    recipe, tmp_path, monkeypatch, schedule
):
    plan = recipe.changed(
        **{
            "train.schedule": schedule,
            "train.patience": 0,
            "train.optimizer": "adamw",
            "train.lr": 1e-3,
            "model.attention": "se",
        }
    )
    real = create_model

    def with_dropout(*args, **kwargs):
        # Dropout draws from the global generator: without its state a resume would differ. By a
        # hook, for a network is saved only as its base and its insertions rebuild it.
        model = real(*args, **kwargs)
        drop_before_(model.fc)
        return model

    monkeypatch.setattr(starting, "create_model", with_dropout)
    whole = train(plan, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, epoch=1)
        with pytest.raises(Interrupted, match=r"1 of 3 epochs are finished.*--resume"):
            train(plan, tmp_path / "cut", progress=False)
    cut = RunFolder(tmp_path / "cut")
    assert not cut.is_finished
    assert len(cut.metrics) == 1
    assert train(plan, cut.path, resume=True, progress=False).is_finished
    assert numbers(cut) == numbers(whole)
    left, right = (load_file(run.path / "model.safetensors") for run in (whole, cut))
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)
    assert len(cut.environment["resumed"]) == 1


def test_a_recipe_overfits_32_images(recipe, tmp_path):
    plan = recipe.changed(
        **{
            "data.augment": "none",
            "train.epochs": 18,
            "train.optimizer": "adamw",
            "train.lr": 5e-3,
            "train.weight_decay": 0.0,
            "train.checkpoint_minutes": 60,
            "model.attention": "das",
            "model.stem": "imagenet",
            "model.where": ["layer1"],
        }
    )
    run = train(plan, tmp_path / "run", progress=False)
    assert run.metrics[-1]["train_top1"] == 1.0
    assert run.metrics[-1]["train_loss"] < 0.2 * run.metrics[0]["train_loss"]


def test_unreadable_images_are_left_out_named_and_counted(recipe, photos, tmp_path):
    (photos / "train" / "red" / "3.png").write_bytes(b"")
    (photos / "val" / "blue" / "1.png").write_bytes(b"no picture")
    plan = recipe.changed(**{"data.source": str(photos), "train.epochs": 2})
    plan = plan.changed(**{"data.limit_train": None, "data.limit_val": None})
    with pytest.warns(UserWarning, match="2 unreadable images are left out") as caught:
        run = train(plan, tmp_path / "run", progress=False)
    assert len(caught) == 1
    names = [entry["name"] for entry in run.result["unreadable"]]
    assert len(names) == 2
    assert any(name.endswith("red/3.png") for name in names)
    assert any(name.endswith("blue/1.png") for name in names)
    assert all(entry["reason"] for entry in run.result["unreadable"])
    assert run.result["images"] == 11
    assert run.result["top1"] in [right / 11 for right in range(12)]
    checked = evaluate(run)
    assert checked["images"] == 11
    assert [entry["name"].endswith("blue/1.png") for entry in checked["unreadable"]] == [True]
    assert checked["classes"]["blue"]["images"] == 5


def test_data_without_a_readable_image_are_an_error(recipe, photos, tmp_path):
    for path in photos.glob("val/*/*.png"):
        path.write_bytes(b"")
    plan = recipe.changed(**{"data.source": str(photos)})
    with pytest.raises(ValueError, match="validation data expects readable images"):
        train(plan, tmp_path / "run", progress=False)


def test_a_folder_with_another_recipe_or_other_files_is_refused(recipe, tmp_path):
    RunFolder(tmp_path / "run").start(recipe)
    with pytest.raises(ValueError, match="unfinished run; pass --resume"):
        train(recipe, tmp_path / "run")
    with pytest.raises(ValueError, match=r"train\.epochs: 3 -> 4"):
        train(recipe.changed(**{"train.epochs": 4}), tmp_path / "run", resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="other files"):
        train(recipe, tmp_path / "other", resume=True)
    with pytest.raises(NotADirectoryError):
        train(recipe, tmp_path / "other" / "thesis.tex")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "mine"


def test_a_finished_run_is_returned_as_it_is(recipe, tmp_path, monkeypatch):
    run = train(recipe.changed(**{"train.epochs": 1}), tmp_path / "run", progress=False)
    monkeypatch.setattr(trainer_module, "ImageData", None)
    again = train(run.recipe, run.path, resume=True)
    assert again.result == run.result
    with pytest.raises(ValueError, match="finished run; choose another folder"):
        train(run.recipe, run.path)


def test_errors_before_training_leave_no_folder(recipe, tmp_path):
    for key, value, message in (
        ("model.attention", "dass", "did you mean 'das'"),
        ("model.name", "resnet_eighteen", "create_model"),
        ("data.source", "scene", "did you mean 'scenes'"),
    ):
        with pytest.raises(ValueError, match=message):
            train(recipe.changed(**{key: value}), tmp_path / "run", progress=False)
        assert not (tmp_path / "run").exists()


def test_a_full_disk_keeps_the_last_checkpoint_and_resume_goes_on(recipe, tmp_path, monkeypatch):
    real, calls = os.fsync, []

    def fills_up(descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if ".ckpt" in name:
            calls.append(name)
            if len(calls) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fills_up)
    with pytest.raises(OSError, match=r"writing a checkpoint to .* previous one is untouched"):
        train(recipe, tmp_path / "run", progress=False)
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert len(saved["foveate"]["rows"]) == 1
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    assert train(recipe, tmp_path / "run", resume=True, progress=False).result["epochs"] == 3


def test_ctrl_c_leaves_the_signal_working(recipe, tmp_path, monkeypatch):
    interrupt_in_epoch(monkeypatch, epoch=0)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="no epoch was kept"):
        train(recipe, tmp_path / "run", progress=False)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_diverges_is_told_and_recorded(recipe, tmp_path):
    plan = recipe.changed(**{"train.lr": 1e30, "train.epochs": 2})
    with pytest.warns(UserWarning, match="not finite in epoch 1; .*lower learning rate") as caught:
        run = train(plan, tmp_path / "run", progress=False)
    assert len(caught) == 1
    assert run.result["loss"] is None
    assert math.isnan(run.metrics[-1]["train_loss"])


def test_a_short_last_batch_weighs_what_its_images_weigh(recipe, tmp_path):
    short = recipe.changed(**{"data.limit_val": 9, "train.batch_size": 8})
    run = train(short, tmp_path / "run", progress=False)
    assert run.result["images"] == 9
    assert run.result["loss"] == pytest.approx(evaluate(run.path)["loss"], rel=1e-6)


def test_keep_best_ends_with_the_weights_of_the_best_epoch(recipe, tmp_path, monkeypatch):
    # The rate explodes after the first epoch, so that the best one is not the last.
    monkeypatch.setattr(
        "foveate.training.trainee.lr_factor",
        lambda train, step, per_epoch, history: 1.0 if step < per_epoch else 30.0,
    )
    plan = recipe.changed(
        **{"train.keep": "best", "train.monitor": "val_loss", "train.keep_checkpoints": False}
    )
    run = train(plan, tmp_path / "run", progress=False)
    assert run.result["best_epoch"] == 1
    assert run.result["loss"] == run.metrics[0]["val_loss"] < run.metrics[-1]["val_loss"]
    assert evaluate(run)["loss"] == pytest.approx(run.result["loss"], rel=1e-5)
    assert not (run.path / "checkpoints").exists()


def test_the_opening_schedule_opens_in_a_straight_line(recipe, tmp_path, monkeypatch):
    seen = []
    real = Classifier.training_step

    def step(self, batch, batch_idx):
        holders = [m for m in self.network.modules() if getattr(m, "openness", None) is not None]
        seen.append([float(holder.openness.detach()) for holder in holders])
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", step)
    plan = recipe.changed(
        **{
            "model.attention": "das",
            "model.start": "identity",
            "model.opening": "linear",
            "model.opening_epochs": 2,
        }
    )
    run = train(plan, tmp_path / "run", progress=False)
    # 32 images in batches of 8: 4 steps an epoch, open after 8.
    assert [values[0] for values in seen] == pytest.approx([min(1, k / 8) for k in range(12)])
    assert all(len(set(values)) == 1 for values in seen)
    assert len(seen[0]) == len(inserted(run.load_model())) > 0
    final = [v for k, v in load_file(run.path / "model.safetensors").items() if "openness" in k]
    assert all(float(value) == 1.0 for value in final)


def test_a_learned_opening_starts_closed_and_moves(recipe, tmp_path):
    plan = recipe.changed(**{"model.attention": "das", "model.start": "identity"})
    run = train(plan, tmp_path / "run", progress=False)
    weights = load_file(run.path / "model.safetensors")
    final = [float(value) for key, value in weights.items() if "openness" in key]
    assert final
    assert all(value != 0 for value in final)


def test_warm_up_and_schedule_reach_the_optimizer(recipe, tmp_path):
    plan = recipe.changed(**{"train.warmup_epochs": 1, "train.lr": 0.04, "train.epochs": 2})
    run = train(plan.changed(**{"train.schedule": "constant"}), tmp_path / "run", progress=False)
    assert [row["lr"] for row in run.metrics] == pytest.approx([0.04, 0.04])
    cosine = train(plan, tmp_path / "cosine", progress=False)
    # The last of 4 steps after the warm-up: 0.5 (1 + cos(3/4 pi)).
    assert cosine.metrics[1]["lr"] == pytest.approx(0.04 * 0.14644660940672624)


def test_options_of_the_trainer_run_together(recipe, tmp_path):
    plan = recipe.changed(
        **{
            "train.epochs": 1,
            "train.precision": "bf16-mixed",
            "train.channels_last": True,
            "train.clip_norm": 1.0,
            "train.label_smoothing": 0.1,
            "train.tensorboard": True,
            "data.workers": 0,
        }
    )
    run = train(plan, tmp_path / "run", progress=False)
    assert run.result["epochs"] == 1
    assert list((run.path / "tensorboard").glob("events*"))


def test_prepare_gives_what_the_network_was_shown(recipe, tmp_path):
    run = RunFolder(tmp_path / "run")
    run.start(recipe)
    image = torch.full((3, 40, 32), 255, dtype=torch.uint8)
    shown = run.prepare(image)
    assert shown.shape == (3, 32, 32)
    wanted = [(1 - m) / s for m, s in zip(recipe.data.mean, recipe.data.std, strict=True)]
    assert shown[:, 5, 5].tolist() == pytest.approx(wanted, rel=1e-6)


def test_an_unfinished_folder_says_how_to_finish_it(recipe, tmp_path):
    run = RunFolder(tmp_path / "run")
    assert not run.is_finished
    assert run.metrics == []
    assert run.result is None
    with pytest.raises(FileNotFoundError, match=r"config\.toml"):
        _ = run.recipe
    run.start(recipe)
    with pytest.raises(FileNotFoundError, match="--resume"):
        run.load_model()


@pytest.mark.slow
def test_worker_processes_change_nothing(recipe, tmp_path):
    alone = train(recipe, tmp_path / "alone", progress=False)
    helped = train(recipe.changed(**{"data.workers": 2}), tmp_path / "helped", progress=False)
    assert numbers(alone) == numbers(helped)


@pytest.mark.slow
def test_a_compiled_network_is_saved_under_its_own_names(recipe, tmp_path):
    plan = recipe.changed(**{"train.compile": True, "train.epochs": 1})
    run = train(plan, tmp_path / "run", progress=False)
    assert evaluate(run)["loss"] == pytest.approx(run.result["loss"], rel=1e-4)

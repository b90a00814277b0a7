"""Runs that are killed at any moment and go on as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import socket
import time
import warnings

import pytest
import torch
from safetensors.torch import load_file

from foveate.training import Interrupted, RunFolder, starting, train
from foveate.training.classifier import Classifier
from support import drop_before_

COLUMNS = (
    *("epoch", "lr", "train_loss", "train_top1", "val_loss", "val_top1", "val_top5", "seconds"),
)
EXACT = COLUMNS[:-1]


@pytest.fixture
def everything(recipe):
    """A recipe in which all that has a state takes part: 2 epochs of 4 steps."""
    return recipe.changed(
        **{
            "model.attention": "das",
            "model.start": "identity",
            "model.opening": "linear",
            "model.options": {"alpha": 0.3},
            "train.gates_first": 1,
            "train.ema_decay": 0.7,
            "train.mixup": 0.4,
            "train.cutmix": 0.4,
            "train.clip_norm": 1.0,
            "train.checkpoint_steps": 1,
            "train.lr": 0.02,
            "train.epochs": 2,
            "train.warmup_epochs": 1,
        }
    )


def same(left, right):
    """Whether two finished runs have the same numbers and the same weights, bit for bit."""
    first, second = (load_file(run.path / "model.safetensors") for run in (left, right))
    rows = [[[row[name] for name in EXACT] for row in run.metrics] for run in (left, right)]
    return (
        rows[0] == rows[1]
        and first.keys() == second.keys()
        and all(torch.equal(first[key], second[key]) for key in first)
    )


def cut_at(monkeypatch, step):
    """Press Ctrl-C when an optimizer step, counted from 0 over the run, is about to be made."""
    real = Classifier.training_step

    def stop(self, batch, batch_idx):
        if self.current_epoch * 4 + batch_idx == step:
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", stop)


@pytest.fixture
def dropout(monkeypatch):
    """Put dropout before the classifier: it draws from the global generator at every step."""
    real = starting.create_model

    def with_dropout(*args, **kwargs):
        model = real(*args, **kwargs)
        drop_before_(model.fc)
        return model

    monkeypatch.setattr(starting, "create_model", with_dropout)


@pytest.mark.usefixtures("dropout")
def test_a_run_cut_at_every_step_ends_with_the_same_bits(everything, tmp_path, monkeypatch):
    whole = train(everything, tmp_path / "whole", progress=False)
    cut = RunFolder(tmp_path / "cut")
    for step in range(8):
        with monkeypatch.context() as patch:
            cut_at(patch, step)
            with pytest.raises(Interrupted):
                train(everything, cut.path, resume=True, progress=False)
    assert train(everything, cut.path, resume=True, progress=False).is_finished
    assert same(whole, cut)
    assert len(cut.environment["resumed"]) == 8


def in_processes(count, work):
    """Fork processes that run ``work`` as a launcher would start them; return their exit codes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(rank):
        if count > 1:
            os.environ |= {
                "TORCHELASTIC_RUN_ID": "test",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
            }
        warnings.simplefilter("ignore")  # what is told here is tested elsewhere
        work(rank)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=run, args=(rank,)) for rank in range(count)]
        for child in children:
            child.start()
    # When one is gone the others wait for it in vain; a launcher would end them too.
    while all(child.exitcode is None for child in children):
        time.sleep(0.05)
    for child in children:
        child.join(0.5 if any(one.exitcode for one in children) else 60)
        if child.exitcode is None:
            child.kill()
            child.join()
    return [child.exitcode for child in children]


def training(plan, folder, die_at=None):
    """Return the work of a process: train, and be killed (one of them) before a step if asked."""

    def work(rank):
        real = Classifier.on_train_batch_start

        def step(self, batch, batch_idx):
            if self.global_step == die_at and rank == self.trainer.world_size - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, batch, batch_idx)

        Classifier.on_train_batch_start = step
        train(plan, folder, resume=True, progress=False)

    return work


@pytest.mark.usefixtures("dropout")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_killed_at_a_random_step_ends_with_the_same_bits(everything, tmp_path, processes):
    """Worker processes load the images; two processes train as DDP over gloo."""
    changes = {"train.checkpoint_steps": 2, "train.accelerator": "cpu", "data.workers": 1}
    plan = everything.changed(**changes, **{"train.batch_size": 8 // processes})
    whole, killed = (RunFolder(tmp_path / name) for name in ("whole", "killed"))
    assert in_processes(processes, training(plan, whole.path)) == [0] * processes
    step = random.Random(time.time_ns()).randrange(8)
    codes = in_processes(processes, training(plan, killed.path, die_at=step))
    assert codes[-1] == -signal.SIGKILL, step
    assert not killed.is_finished
    assert in_processes(processes, training(plan, killed.path)) == [0] * processes
    assert same(whole, killed), step


def test_a_finished_run_and_another_number_of_processes(recipe, tmp_path):
    """What two processes finished ends at once; what one began, two go on with after an epoch."""
    plan = recipe.changed(**{"train.accelerator": "cpu", "train.batch_size": 4})
    finished = tmp_path / "finished"
    assert in_processes(2, training(plan, finished)) == [0, 0]
    assert in_processes(2, training(plan, finished)) == [0, 0]
    grown = RunFolder(tmp_path / "grown")
    assert in_processes(1, training(plan, grown.path, die_at=8)) == [-signal.SIGKILL]
    assert len(grown.metrics) == 1
    assert in_processes(2, training(plan, grown.path)) == [0, 0]
    # By cosine: had the steps of the longer epoch counted, the rate would have come to its end.
    rates = [row["lr"] for row in grown.metrics]
    assert len(rates) == 3
    assert rates[0] > rates[1] > rates[2] > 0
    within = plan.changed(**{"train.checkpoint_steps": 1})
    cut = tmp_path / "within"
    assert in_processes(1, training(within, cut, die_at=3)) == [-signal.SIGKILL]
    assert in_processes(2, training(within, cut)) != [0, 0]


def test_unreadable_images_of_every_process_survive_a_resume(recipe, tmp_path, photos):
    for name in ("red/1.png", "red/5.png", "blue/2.png", "blue/7.png"):
        (photos / "train" / name).write_bytes(b"no image")
    plan = recipe.changed(
        **{
            "data.source": str(photos),
            "data.limit_train": None,
            "data.limit_val": None,
            "train.accelerator": "cpu",
            "train.batch_size": 4,
        }
    )
    run = RunFolder(tmp_path / "run")
    codes = in_processes(2, training(plan, run.path, die_at=4))
    assert codes[-1] == -signal.SIGKILL
    assert in_processes(2, training(plan, run.path)) == [0, 0]
    assert len(run.result["unreadable"]) == 4

"""What may go wrong on a disk and in worker processes, and what is left of the run."""

import errno
import gc
import os
import shutil
import signal

import pytest
import torch
from torch.utils.data import dataloader

from foveate.data import ImageDataset, Sample
from foveate.training import Interrupted, RunFolder, evaluate, keeper, train
from foveate.training.checkpoints import AtomicCheckpointIO, read_whole
from foveate.training.classifier import Classifier
from foveate.training.tallies import Tallies


@pytest.fixture(scope="module")
def stopped(recipe, tmp_path_factory):
    """A run of 3 epochs that was stopped in its last one, with two checkpoints on disk."""
    folder = tmp_path_factory.mktemp("damage")
    plan = recipe.changed(**{"train.checkpoint_steps": 1})
    whole = train(plan, folder / "whole", progress=False)
    real = Classifier.training_step

    def stop(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (2, 2):
            raise KeyboardInterrupt
        return real(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "training_step", stop)
        with pytest.raises(Interrupted):
            train(plan, folder / "cut", progress=False)
    return plan, folder / "cut", whole


@pytest.fixture
def cut(stopped, tmp_path):
    """The stopped run, a copy for each test to damage."""
    plan, folder, whole = stopped
    shutil.copytree(folder, tmp_path / "cut")
    return plan, RunFolder(tmp_path / "cut"), whole


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flip_a_bit(path):
    """Change one bit of a weight, in the middle of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def of_another_library(path):
    torch.save({"state_dict": {}, "epoch": 3}, path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        *((one, "a whole checkpoint of foveate") for one in (truncate, flip_a_bit, empty)),
        (of_another_library, "a checkpoint with state_dict and foveate"),
    ],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(cut, damage, said):
    plan, run, whole = cut
    assert run.previous_checkpoint.read_bytes() != run.last_checkpoint.read_bytes()
    damage(run.last_checkpoint)
    with pytest.raises(ValueError, match=said):
        read_whole(run.last_checkpoint)
    with pytest.warns(UserWarning, match=r"last.ckpt is damaged: .* previous.ckpt"):
        train(plan, run.path, resume=True, progress=False)
    assert run.result["loss"] == whole.result["loss"]
    assert not run.previous_checkpoint.exists(), "a finished run keeps what is of use"


def test_the_one_before_survives_a_full_disk(cut, monkeypatch):
    plan, run, whole = cut
    truncate(run.last_checkpoint)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.warns(UserWarning, match="is damaged"), pytest.raises(OSError, match="space"):
            train(plan, run.path, resume=True, progress=False)
    train(plan, run.path, resume=True, progress=False)
    assert run.result["loss"] == whole.result["loss"]
    names = sorted(path.name for path in run.last_checkpoint.parent.iterdir())
    assert names == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("place", ["second_name", "write_result"])
def test_a_kill_in_the_last_moments_loses_nothing(recipe, tmp_path, monkeypatch, place):
    """Between the best checkpoint and the last one; between the weights and the result."""
    kept = place != "write_result"
    plan = recipe.changed(**{"train.keep": "best", "train.keep_checkpoints": kept})
    whole = train(plan, tmp_path / "whole", progress=False)
    owner = keeper if place == "second_name" else RunFolder
    real, calls = getattr(owner, place), []

    def die(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, place, die)
        with pytest.raises(KeyboardInterrupt):
            train(plan, tmp_path / "cut", progress=False)
    run = RunFolder(tmp_path / "cut")
    assert not run.is_finished
    first = [row["seconds"] for row in run.metrics][:1]
    train(plan, run.path, resume=True, progress=False)
    assert run.result["loss"] == whole.result["loss"]
    assert evaluate(run)["loss"] == pytest.approx(run.result["loss"], rel=1e-5)
    if place == "write_result":
        assert first == [run.metrics[0]["seconds"]], "it was trained again from the start"
        assert not run.last_checkpoint.parent.exists()


def test_a_best_checkpoint_of_another_epoch_is_told(recipe, tmp_path, monkeypatch):
    plan = recipe.changed(**{"train.keep": "best", "train.monitor": "val_loss"})
    values = iter([3.0, 1.0, 2.0])

    def loss(self):
        return 16, {"val_loss": next(values), "val_top1": 0.5, "val_top5": 0.5}

    monkeypatch.setattr(Tallies, "of_validation", loss)
    real = AtomicCheckpointIO.load_checkpoint

    def older(self, path, **options):
        tree = real(self, path, **options)
        tree["foveate"]["rows"] = tree["foveate"]["rows"][:1]
        return tree

    monkeypatch.setattr(AtomicCheckpointIO, "load_checkpoint", older)
    with pytest.warns(UserWarning, match="does not hold epoch 2, the best one"):
        run = train(plan, tmp_path / "run", progress=False)
    assert (run.result["weights"], run.result["loss"], run.result["best_epoch"]) == ("last", 2.0, 2)


def test_with_every_checkpoint_damaged_the_run_says_how_to_start_anew(cut):
    plan, run, _ = cut
    truncate(run.last_checkpoint)
    empty(run.previous_checkpoint)
    with pytest.raises(ValueError, match=r"files: last.ckpt, previous.ckpt; delete .*check"):
        train(plan, run.path, resume=True, progress=False)


def test_a_missing_last_checkpoint_leaves_the_one_before(cut):
    plan, run, whole = cut
    run.last_checkpoint.unlink()
    assert run.can_resume
    train(plan, run.path, resume=True, progress=False)
    assert run.result["loss"] == whole.result["loss"]


def test_a_folder_that_takes_no_files_leaves_the_last_checkpoint(cut, monkeypatch):
    plan, run, whole = cut
    before = run.last_checkpoint.read_bytes()

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    # What an unprivileged user meets in a read-only folder; these tests may run as root.
    with monkeypatch.context() as patch:
        for name in ("link", "replace"):
            patch.setattr(os, name, refuse)
        patch.setattr("shutil.copyfile", refuse)
        patch.setattr("pathlib.Path.replace", refuse)
        with pytest.raises(OSError, match="denied"):
            train(plan, run.path, resume=True, progress=False)
    assert run.last_checkpoint.read_bytes() == before
    assert not [path for path in run.last_checkpoint.parent.iterdir() if path.suffix == ".tmp"]
    train(plan, run.path, resume=True, progress=False)
    assert run.result["loss"] == whole.result["loss"]


class Deadly(ImageDataset):
    """Sixteen images; reading one of them does something worse than failing."""

    classes = ("a", "b")
    labels = (0, 1) * 8

    def __init__(self, place, deed):
        self.place, self.deed = place, deed

    def __len__(self):
        return 16

    def name_of(self, index):
        return f"photos/{index}.jpg"

    def __getitem__(self, index):
        if index == self.place:
            self.deed()
        return Sample(torch.zeros(3, 32, 32, dtype=torch.uint8), index % 2, index, "")


def kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    raise KeyError("colour table")


@pytest.fixture
def impatient(monkeypatch):
    """Wait half a second, not five, for each worker that is slow to end."""
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.5)
    ask = dataloader._MultiProcessingDataLoaderIter._try_get_data
    monkeypatch.setattr(ask, "__defaults__", (0.5,))
    yield
    gc.collect()  # The loader waits when it is collected, which must be in here.


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("split", "deed", "kind", "message"),
    [
        (0, kill_this_process, ChildProcessError, r"death .* while reading photos/11.jpg"),
        (1, kill_this_process, ChildProcessError, r"death .* while reading photos/11.jpg"),
        (0, fail, ValueError, r"^photos/11.jpg expects .*; got KeyError: 'colour table'$"),
    ],
)
def test_a_worker_that_dies_or_fails_names_the_image(recipe, tmp_path, split, deed, kind, message):
    data = [Deadly(None, None), Deadly(None, None)]
    data[split] = Deadly(11, deed)
    plan = recipe.changed(**{"data.workers": 2, "data.augment": "none"})
    with pytest.raises(kind, match=message):
        train(plan, tmp_path / "run", progress=False, data=tuple(data))


def test_a_failure_without_workers_names_the_image_too(recipe, tmp_path):
    with pytest.raises(ValueError, match=r"^photos/11.jpg expects .*KeyError"):
        train(recipe, tmp_path / "run", progress=False, data=(Deadly(11, fail), Deadly(None, None)))

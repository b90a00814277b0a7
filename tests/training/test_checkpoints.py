"""Checkpoints: whole, free of code, with every random state."""

import errno
import os
import random

import numpy as np
import pytest
import torch

from foveate.training.checkpoints import AtomicCheckpointIO
from foveate.training.random_states import random_states, set_random_states


def test_a_checkpoint_comes_back(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"w": torch.arange(5.0), "n": 3}, path)
    back = AtomicCheckpointIO().load_checkpoint(path)
    assert back["n"] == 3
    assert back["w"].tolist() == [0, 1, 2, 3, 4]
    AtomicCheckpointIO().remove_checkpoint(path)
    assert not path.exists()


def test_on_a_full_disk_the_previous_checkpoint_survives(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"w": torch.ones(3)}, path)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"writing a checkpoint to .*previous one is untouched"):
        AtomicCheckpointIO().save_checkpoint({"w": torch.zeros(3)}, path)
    assert AtomicCheckpointIO().load_checkpoint(path)["w"].tolist() == [1, 1, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_write_that_torch_reports_in_its_own_way_is_an_os_error(tmp_path, monkeypatch):
    class Full:
        """A file on a full disk: the writes themselves fail."""

        def __init__(self, handle):
            self.handle = handle

        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __getattr__(self, name):
            return getattr(self.handle, name)

    real = torch.save
    monkeypatch.setattr(torch, "save", lambda tree, handle: real(tree, Full(handle)))
    with pytest.raises(OSError, match="free some space") as caught:
        AtomicCheckpointIO().save_checkpoint({"w": torch.zeros(3)}, tmp_path / "last.ckpt")
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "bad.ckpt"
    torch.save({"f": os.getcwd}, path)
    with pytest.raises(ValueError, match="checkpoint of foveate, tensors"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)


def test_random_states_survive_a_checkpoint(tmp_path):
    AtomicCheckpointIO().save_checkpoint({"states": random_states()}, tmp_path / "c")
    drawn = (random.random(), np.random.rand(), float(torch.rand(())))
    set_random_states(AtomicCheckpointIO().load_checkpoint(tmp_path / "c")["states"])
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == drawn

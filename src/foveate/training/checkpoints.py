"""Checkpoints that survive a full disk, hold the random states, and load tensors only."""

from __future__ import annotations

import math
import os
import pickle
import random
import time
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint

from foveate.core import expected
from foveate.core.files import write_with
from foveate.training.classifier import Classifier
from foveate.training.run_folder import RunFolder
from foveate.training.schedule import is_better


class AtomicCheckpointIO(CheckpointIO):  # type: ignore[misc]
    """Writes a checkpoint to a temporary file, syncs it and renames it; loads tensors only."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint whole or not at all.

        Raises:
            OSError: If the disk does not take it; the previous checkpoint is still there.
        """
        write_with(Path(path), lambda handle: torch.save(checkpoint, handle), "a checkpoint")

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, with ``weights_only=True`` whatever is asked: no code runs.

        Raises:
            ValueError: If the file is no such checkpoint.
        """
        try:
            tree: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            # torch's own text advises to load without the guard; that advice is left out.
            rule = "a whole checkpoint of foveate, tensors and plain values only"
            raise ValueError(expected("loading a checkpoint", rule, str(path))) from error
        return tree

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


class RandomStates(Callback):  # type: ignore[misc]
    """Puts the states of the random generators into the checkpoint, and back on a resume."""

    def __init__(self) -> None:
        self._pending: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the states, as tensors and plain numbers."""
        return random_states()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training goes on."""
        self._pending = state_dict

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Set the generators as they were when the checkpoint was written."""
        if self._pending is not None:
            set_random_states(self._pending)
            self._pending = None


def random_states() -> dict[str, Any]:
    """Return the states of Python's, numpy's and torch's generators as tensors and plain values."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    words = torch.from_numpy(np.asarray(keys, dtype=np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": (str(name), words, position, has_gauss, gauss),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Set all generators to what ``random_states`` returned."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, words, *rest = states["numpy"]
    np.random.set_state((name, words.numpy().astype(np.uint32), *rest))


class Keeper(Checkpoint):  # type: ignore[misc]
    """At the end of each epoch: ``metrics.csv``, ``last.ckpt`` and ``best.ckpt``."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._written = time.monotonic()
        self._warned: set[str] = set()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what the epoch came to."""
        if not isinstance(pl_module, Classifier):
            raise TypeError(expected("Keeper", "a Classifier", type(pl_module).__name__))
        rows, train = pl_module.rows, pl_module.recipe.train
        if trainer.is_global_zero:
            self.run.write_metrics(rows)
        if trainer.logger is not None:
            numbers = {key: value for key, value in rows[-1].items() if key != "epoch"}
            trainer.logger.log_metrics(numbers, step=int(rows[-1]["epoch"]))
        self._warn_once(pl_module)
        # Every process takes part in saving, so all must decide alike: by the clock of process 0.
        due = time.monotonic() - self._written >= 60 * train.checkpoint_minutes
        due = bool(trainer.strategy.broadcast(due))
        is_last = len(rows) == train.epochs
        if (is_last and train.keep_checkpoints) or (due and not is_last):
            trainer.save_checkpoint(self.run.last_checkpoint)
            self._written = time.monotonic()
            fresh = True
        else:
            fresh = False
        wanted = train.keep == "best" or train.keep_checkpoints
        if wanted and best_epoch(pl_module) == len(rows):
            self._save_best(trainer, fresh)

    def _save_best(self, trainer: pl.Trainer, fresh: bool) -> None:
        """Save the best epoch; a second name of the file just written costs nothing."""
        if fresh and trainer.is_global_zero:
            temporary = self.run.best_checkpoint.with_name(".best.ckpt.tmp")
            try:
                temporary.unlink(missing_ok=True)
                os.link(self.run.last_checkpoint, temporary)
                temporary.replace(self.run.best_checkpoint)
            except OSError:
                # A file system without hard links: write it in full.
                fresh = False
        if not trainer.strategy.broadcast(fresh):
            trainer.save_checkpoint(self.run.best_checkpoint, weights_only=True)

    def _warn_once(self, module: Classifier) -> None:
        """Warn of unreadable images and of a loss that is not finite, once each."""
        if module.unreadable and "unreadable" not in self._warned:
            self._warned.add("unreadable")
            names = ", ".join(list(module.unreadable)[:5])
            more = f" and {len(module.unreadable) - 5} more" if len(module.unreadable) > 5 else ""
            warnings.warn(
                f"{len(module.unreadable)} unreadable images are left out: {names}{more}",
                stacklevel=2,
            )
        row = module.rows[-1]
        if not math.isfinite(row["train_loss"]) and "diverged" not in self._warned:
            self._warned.add("diverged")
            warnings.warn(
                f"the training loss is not finite in epoch {int(row['epoch'])}; "
                "a lower learning rate or clip_norm may help",
                stacklevel=2,
            )


def best_epoch(module: Classifier) -> int:
    """Return the epoch, from 1, whose monitored value is best; the earliest of equals."""
    train = module.recipe.train
    best = 0
    for index, row in enumerate(module.rows):
        if is_better(train, row[train.monitor], module.rows[best][train.monitor]):
            best = index
    return best + 1

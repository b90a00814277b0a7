"""What every task trains: a network, its optimizer, its schedule, and the numbers of each epoch."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.training.averaging import averaged_copy
from foveate.training.optimizers import make_optimizer
from foveate.training.random_states import gathered
from foveate.training.recipe import Recipe
from foveate.training.schedule import lr_factor, step_of, steps_per_epoch

Columns = dict[str, float]


class EpochTallies(Protocol):
    """What an epoch adds up to, over all processes."""

    def of_training(self) -> tuple[int, Columns]:
        """Return the images that were trained on, and the columns they make."""

    def of_validation(self) -> tuple[int, Columns]:
        """Return the images that were validated, and the columns they make."""

    def forget(self) -> None:
        """Start anew."""

    def states(self) -> dict[str, Any]:
        """Return the sums of this process, as tensors on the CPU and plain values."""

    def restore(self, states: dict[str, Any]) -> None:
        """Take back what ``states`` returned."""


class Trainee(pl.LightningModule):  # type: ignore[misc]
    """A network that learns by a recipe and keeps one row of numbers per epoch.

    A task adds ``training_step`` and ``validation_step``, and says what came of a run.

    Args:
        network: What learns.
        recipe: How to train it.
        tallies: What its steps add to.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, tallies: EpochTallies) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.tallies = tallies
        self.rows: list[Columns] = []
        self.start: Columns | None = None
        self.unreadable: dict[str, str] = {}
        self.val_images = 0
        decay = recipe.train.ema_decay
        self.average = averaged_copy(network, decay) if decay is not None else None
        self._epoch_start = time.perf_counter()
        self._lr = recipe.train.base_lr
        self._half: dict[str, Any] | None = None
        self.within_epoch = False
        """Whether a checkpoint that is written now stands within an epoch."""

    @abstractmethod
    def named(self, row: Columns) -> dict[str, float | None]:
        """Return what was validated in an epoch, under the names that results have."""

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and saved: the averaged one where there is one."""
        return self.network if self.average is None else self.average.module

    @property
    def history(self) -> list[float]:
        """The monitored value of each finished epoch."""
        return [row[self.recipe.train.monitor] for row in self.rows]

    def on_train_start(self) -> None:
        """Take up the sums of an epoch that was cut off."""
        if self._half is not None:
            self.tallies.restore(self._half["processes"][self.global_rank])
            self._epoch_start = time.perf_counter() - self._half["seconds"]
            self._half = None

    def on_train_epoch_start(self) -> None:
        """Start the clock of the epoch."""
        self._epoch_start = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Close the epoch: one row of numbers, the same on every process.

        Raises:
            ValueError: If no image of the epoch could be read.
        """
        seen, trained = self.tallies.of_training()
        self._check_readable("training", seen)
        self.rows.append(
            {
                "epoch": float(self.current_epoch + 1),
                "lr": self._lr,
                **trained,
                **self._validated(),
                "seconds": time.perf_counter() - self._epoch_start,
            }
        )
        self.tallies.forget()

    def on_validation_epoch_end(self) -> None:
        """Keep what the network could do before the first step, where that is measured."""
        if self.trainer.sanity_checking:
            self.start = self._validated()
            self.tallies.forget()

    def _validated(self) -> Columns:
        self.val_images, columns = self.tallies.of_validation()
        self._check_readable("validation", self.val_images)
        return columns

    def _check_readable(self, split: str, images: int) -> None:
        if images == 0:
            names = ", ".join(list(self.unreadable)[:3])
            got = Words(f"none in an epoch ({names} ...)")
            raise ValueError(expected(f"{split} data", "readable images", got))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate of the step: a function of its place and of the rows so far."""
        train = self.recipe.train
        steps = steps_per_epoch(self.trainer)
        factor = lr_factor(train, step_of(self.trainer, batch_idx), steps, self.history)
        self._lr = train.scaled_lr(self.trainer.world_size) * factor
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self._lr

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer; the schedule holds no state and is applied per batch."""
        return make_optimizer(self.network, self.recipe.train)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the rows, the sums of a half epoch and the unreadable images into the checkpoint."""
        seconds = time.perf_counter() - self._epoch_start
        half = {"processes": gathered(self.tallies.states()), "seconds": seconds}
        self._share_unreadable()
        checkpoint["foveate"] = {
            "rows": self.rows,
            "start": self.start,
            "unreadable": dict(self.unreadable),
            "val_images": self.val_images,
            "half": half if self.within_epoch else None,
        }

    def on_train_end(self) -> None:
        """Let the main process, which writes the result, know of all unreadable images."""
        self._share_unreadable()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back."""
        kept = checkpoint["foveate"]
        self.rows, self.start = list(kept["rows"]), kept["start"]
        self.unreadable = dict(kept["unreadable"])
        self.val_images = int(kept["val_images"])
        self._half = kept["half"]

    def _note_unreadable(self, batch: dict[str, Any]) -> None:
        self.unreadable.update(dict(batch["unreadable"]))

    def _share_unreadable(self) -> None:
        """Put together what no process could read."""
        for share in gathered(self.unreadable):
            self.unreadable.update(share)

    def _nothing(self) -> Tensor | None:
        """Return no loss, or, where other processes wait for gradients, one of zero."""
        if self.trainer.world_size == 1:
            return None
        learning = [weight.sum() for weight in self.network.parameters() if weight.requires_grad]
        return torch.stack(learning).sum() * 0

"""The LightningModule: one network, its loss, its optimizer, and the numbers of each epoch."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional

from foveate.core import Words, expected
from foveate.training.averaging import averaged_copy
from foveate.training.loading import Batch
from foveate.training.mixing import Mixing
from foveate.training.optimizers import make_optimizer
from foveate.training.random_states import gathered
from foveate.training.recipe import Recipe
from foveate.training.schedule import lr_factor, step_of, steps_per_epoch
from foveate.training.tallies import Tallies
from foveate.training.transforms import normalize


class Classifier(pl.LightningModule):  # type: ignore[misc]
    """Trains a network by a recipe and keeps one row of numbers per epoch.

    Args:
        network: (N, 3, size, size) -> (N, classes), logits.
        recipe: How to train it.
        classes: Number of classes.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, classes: int) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.rows: list[dict[str, float]] = []
        self.start: dict[str, float] | None = None
        self.unreadable: dict[str, str] = {}
        self.val_images = 0
        self.tallies = Tallies(classes)
        # A tuple hides the compiled twin from the module tree, whose names must stay the network's.
        self._call = (torch.compile(network) if recipe.train.compile else network,)
        decay = recipe.train.ema_decay
        self.average = averaged_copy(network, decay) if decay is not None else None
        self._mix = Mixing(recipe.train, classes, recipe.seed)
        self._epoch_start = time.perf_counter()
        self._lr = recipe.train.base_lr
        self._half: dict[str, Any] | None = None
        self.within_epoch = False
        """Whether a checkpoint that is written now stands within an epoch."""

    @property
    def kept(self) -> nn.Module:
        """The network that is evaluated and saved: the averaged one where there is one."""
        return self.network if self.average is None else self.average.module

    @property
    def history(self) -> list[float]:
        """The monitored value of each finished epoch."""
        return [row[self.recipe.train.monitor] for row in self.rows]

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes) of uint8 images (N, 3, size, size)."""
        averaged = self.average is not None and not self.training
        logits: Tensor = (self.kept if averaged else self._call[0])(self._prepared(images))
        return logits

    def _prepared(self, images: Tensor) -> Tensor:
        ready = normalize(images, self.recipe.data)
        if self.recipe.train.channels_last:
            ready = ready.contiguous(memory_format=torch.channels_last)
        return ready

    def on_train_start(self) -> None:
        """Take up the sums of an epoch that was cut off."""
        if self._half is not None:
            self.tallies.restore(self._half["processes"][self.global_rank])
            self._epoch_start = time.perf_counter() - self._half["seconds"]
            self._half = None

    def on_train_epoch_start(self) -> None:
        """Start the clock of the epoch."""
        self._epoch_start = time.perf_counter()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of a batch; a batch without two readable images is left out."""
        self._note_unreadable(batch)
        images, labels = batch["images"], batch["labels"]
        if len(labels) < self._least():
            return self._no_loss()
        ready, shares = self._prepared(images), labels
        if self._mix:
            place = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
            ready, shares = self._mix(ready, labels, step=place, rank=self.global_rank)
        logits = self._call[0](ready)
        loss = functional.cross_entropy(
            logits.float(), shares, label_smoothing=self.recipe.train.label_smoothing
        )
        # Of a mixed image, the class that has the larger share.
        self.tallies.trained(loss, logits, shares.argmax(1) if self._mix else labels)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the numbers of the epoch."""
        self._note_unreadable(batch)
        counted = batch["labels"] >= 0
        if not bool(counted.any()):
            return
        logits = self(batch["images"])[counted].float()
        labels = batch["labels"][counted]
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        self.tallies.validated(loss, logits, labels)

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

    def _validated(self) -> dict[str, float]:
        self.val_images, columns = self.tallies.of_validation()
        self._check_readable("validation", self.val_images)
        return columns

    def _check_readable(self, split: str, images: int) -> None:
        if images == 0:
            names = ", ".join(list(self.unreadable)[:3])
            got = Words(f"none in an epoch ({names} ...)")
            raise ValueError(expected(f"{split} data", "readable images", got))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
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

    def _note_unreadable(self, batch: Batch) -> None:
        self.unreadable.update(dict(batch["unreadable"]))

    def _share_unreadable(self) -> None:
        """Put together what no process could read."""
        for share in gathered(self.unreadable):
            self.unreadable.update(share)

    def _least(self) -> int:
        """Return how many images a batch norm can train on: one, where others share theirs."""
        return 1 if self.recipe.train.sync_bn and self.trainer.world_size > 1 else 2

    def _no_loss(self) -> Tensor | None:
        """Return nothing, or, where other processes wait for gradients, a loss of zero."""
        if self.trainer.world_size == 1:
            return None
        if self.recipe.train.sync_bn:
            # The others wait in every norm, too: blank images stand in, and weigh nothing.
            side = self.recipe.data.size
            blank = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=self.device)
            logits: Tensor = self._call[0](self._prepared(blank))
            return logits.float().sum() * 0
        return (
            torch.stack([p.sum() for p in self.network.parameters() if p.requires_grad]).sum() * 0
        )

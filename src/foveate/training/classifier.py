"""Classification as a task: logits, their loss, and how many images are told right."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.training.loading import Batch
from foveate.training.mixing import Mixing
from foveate.training.recipe import Recipe
from foveate.training.tallies import Tallies
from foveate.training.trainee import Columns, Trainee
from foveate.training.transforms import normalize


class Classifier(Trainee):
    """Trains a classifier by a recipe.

    Args:
        network: (N, 3, size, size) -> (N, classes), logits.
        recipe: How to train it.
        classes: Number of classes.
    """

    tallies: Tallies

    def __init__(self, network: nn.Module, recipe: Recipe, classes: int) -> None:
        super().__init__(network, recipe, Tallies(classes))
        # A tuple hides the compiled twin from the module tree, whose names must stay the network's.
        self._call = (torch.compile(network) if recipe.train.compile else network,)
        self._mix = Mixing(recipe.train, classes, recipe.seed)

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

    def named(self, row: Columns) -> dict[str, float | None]:
        """Return the accuracy and the loss; JSON knows no NaN: where a run diverged it is null."""
        loss = row["val_loss"] if math.isfinite(row["val_loss"]) else None
        return {"top1": row["val_top1"], "top5": row["val_top5"], "loss": loss}

    def _least(self) -> int:
        """Return how many images a batch norm can train on: one, where others share theirs."""
        return 1 if self.recipe.train.sync_bn and self.trainer.world_size > 1 else 2

    def _no_loss(self) -> Tensor | None:
        """Return no loss; with shared norms, blank images that weigh nothing stand in."""
        if self.recipe.train.sync_bn and self.trainer.world_size > 1:
            # The others wait in every norm, too.
            side = self.recipe.data.size
            blank = torch.zeros(1, 3, side, side, dtype=torch.uint8, device=self.device)
            logits: Tensor = self._call[0](self._prepared(blank))
            return logits.float().sum() * 0
        return self._nothing()

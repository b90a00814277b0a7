"""Stereo matching as a task: the loss of a sequence of disparities, and their errors."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from foveate.stereo.batches import Batch, found_in, views
from foveate.stereo.loss import sequence_loss
from foveate.stereo.metrics import COLUMNS, error_sums
from foveate.stereo.recipe import StereoRecipe
from foveate.stereo.tallies import PairTallies
from foveate.training.trainee import Columns, Trainee


class StereoTrainee(Trainee):
    """Trains a stereo network by a recipe.

    Args:
        network: What :func:`foveate.stereo.create_stereo` makes.
        recipe: How to train it.
    """

    tallies: PairTallies
    recipe: StereoRecipe

    def __init__(self, network: nn.Module, recipe: StereoRecipe) -> None:
        super().__init__(network, recipe, PairTallies())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of a batch; one without a readable pair is left out."""
        self._note_unreadable(batch)
        if not batch["left"]:
            return self._nothing()
        # Crops have one size, so there is one group.
        ((_, (left, right)),) = views(batch)
        truth, known = torch.stack(batch["disparity"]), torch.stack(batch["valid"])
        weight = self.recipe.train.step_weight
        loss = sequence_loss(self.network(left, right), truth, known, weight)
        self.tallies.trained(loss, len(left))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add the errors of a batch."""
        self._note_unreadable(batch)
        for place, disparity in found_in(self.kept, batch):
            if batch["counted"][place]:
                truth = (batch[name][place] for name in ("disparity", "valid", "occluded"))
                self.tallies.validated(batch["indices"][place], error_sums(disparity, *truth))

    def named(self, row: Columns) -> dict[str, float | None]:
        """Return the scores; null where no pixel counts or a run diverged: JSON has no NaN."""
        values = {name: row[f"val_{name}"] for name in COLUMNS}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

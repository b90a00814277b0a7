"""Detection as a task: the parts of a detector's loss, and its average precision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foveate.detection.batches import Batch
from foveate.detection.data import DetectionDataset
from foveate.detection.recipe import DetectionRecipe
from foveate.detection.tallies import COLUMNS, BoxTallies
from foveate.training.trainee import Columns, Trainee


class DetectorTrainee(Trainee):
    """Trains a detector by a recipe.

    Args:
        network: What :func:`foveate.detection.create_detector` makes.
        recipe: How to train it.
        dataset: What it is validated on.
    """

    tallies: BoxTallies

    def __init__(
        self, network: nn.Module, recipe: DetectionRecipe, dataset: DetectionDataset
    ) -> None:
        super().__init__(network, recipe, BoxTallies(dataset))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of a batch; one without a readable image is left out."""
        self._note_unreadable(batch)
        if not batch["images"]:
            return self._nothing()
        losses: dict[str, Tensor] = self.network(as_input(batch["images"]), batch["targets"])
        self.tallies.trained(losses, len(batch["images"]))
        return torch.stack([loss.float() for loss in losses.values()]).sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add what is found in a batch."""
        self._note_unreadable(batch)
        counted = [place for place, counts in enumerate(batch["counted"]) if counts]
        if counted:
            found = self.kept(as_input([batch["images"][place] for place in counted]))
            self.tallies.validated([batch["indices"][place] for place in counted], found)

    def named(self, row: Columns) -> dict[str, float | None]:
        """Return the average precisions; null where there is no object to find."""
        values = {name: row[f"val_{name}"] for name in COLUMNS}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


def as_input(images: Sequence[Tensor]) -> list[Tensor]:
    """Turn (3, H, W) uint8 images into what a detector takes: float32 in [0, 1]."""
    return [image.float() / 255 for image in images]

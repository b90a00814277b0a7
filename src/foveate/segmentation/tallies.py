"""What an epoch of a segmenter adds up to, over all processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.segmentation.data.samples import IGNORED
from foveate.segmentation.scores import ClassScores, confusion
from foveate.training.random_states import gathered


class MapTallies:
    """The loss in training; the loss and the confusion matrix in validation.

    Args:
        classes: Names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        count = len(self.classes)
        self._images, self._loss = 0, 0.0
        self._seen, self._pixels, self._costs = 0, 0, 0.0
        self._matrix = torch.zeros(count, count, dtype=torch.int64)

    def trained(self, loss: Tensor, images: int) -> None:
        """Add a batch of training: its mean loss."""
        self._images += images
        self._loss += float(loss.detach()) * images

    def validated(self, predicted: Tensor, truth: Tensor, loss: Tensor) -> None:
        """Add images of validation.

        Args:
            predicted: (N, H, W) classes.
            truth: (N, H, W) classes or ``IGNORED``.
            loss: The sum over the pixels that are judged.
        """
        self._seen += len(truth)
        self._pixels += int((truth != IGNORED).sum())
        self._costs += float(loss)
        self._matrix += confusion(predicted.cpu(), truth.cpu(), len(self.classes))

    def of_training(self) -> tuple[int, dict[str, float]]:
        """Return the images of all processes, and their mean loss."""
        shares = gathered((self._images, self._loss))
        images = sum(count for count, _ in shares)
        loss = math.fsum(loss for _, loss in shares)
        return images, {"train_loss": loss / images} if images else {}

    def of_validation(self) -> tuple[int, dict[str, float]]:
        """Return the images of all processes, and their scores; NaN where nothing was judged."""
        shares = gathered((self._seen, self._pixels, self._costs, self._matrix))
        images, pixels = (sum(share[place] for share in shares) for place in (0, 1))
        if not images:
            return 0, {}
        scores = ClassScores(torch.stack([share[3] for share in shares]).sum(dim=0), self.classes)
        loss = math.fsum(share[2] for share in shares)
        return images, {
            "val_loss": loss / pixels if pixels else math.nan,
            "val_miou": _number(scores.miou),
            "val_pixel_accuracy": _number(scores.pixel_accuracy),
        }

    def states(self) -> dict[str, Any]:
        """Return the sums of this process; validation never stands half done in a checkpoint."""
        return {"images": self._images, "loss": self._loss}

    def restore(self, states: dict[str, Any]) -> None:
        """Take back what ``states`` returned."""
        self._images, self._loss = int(states["images"]), float(states["loss"])


def _number(value: float | None) -> float:
    return math.nan if value is None else value

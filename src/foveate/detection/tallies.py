"""What an epoch of a detector adds up to, over all processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from foveate.detection.data import DetectionDataset
from foveate.detection.metrics import BoxScores, score_boxes, to_detections
from foveate.training.random_states import gathered

COLUMNS = ("ap", "ap50", "ap75")


class BoxTallies:
    """Sums of the parts of the loss in training; detections of every image in validation.

    Args:
        dataset: What is validated on.
    """

    def __init__(self, dataset: DetectionDataset) -> None:
        self.dataset = dataset
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self._images, self._losses = 0, dict[str, float]()
        self._found: dict[int, list[dict[str, Any]]] = {}

    def trained(self, losses: Mapping[str, Tensor], images: int) -> None:
        """Add a batch of training: the mean of each part of its loss."""
        self._images += images
        for name, loss in losses.items():
            self._losses[name] = self._losses.get(name, 0.0) + float(loss.detach()) * images

    def validated(
        self, indices: Sequence[int], predictions: Sequence[Mapping[str, Tensor]]
    ) -> None:
        """Add a batch of validation: what was found in the images of these places."""
        for index, prediction in zip(indices, predictions, strict=True):
            image = self.dataset.image_id_of(index)
            self._found[index] = to_detections(image, prediction, self.dataset.category_ids)

    def of_training(self) -> tuple[int, dict[str, float]]:
        """Return the images of all processes, and the mean loss with its parts."""
        shares = gathered((self._images, self._losses))
        images = sum(count for count, _ in shares)
        names = sorted({name for _, losses in shares for name in losses})
        if not images:
            return 0, {}
        means = {
            name: math.fsum(losses.get(name, 0.0) for _, losses in shares) / images
            for name in names
        }
        total = math.fsum(means.values())
        parts = {f"loss_{name.removeprefix('loss_')}": mean for name, mean in means.items()}
        return images, {"train_loss": total, **parts}

    def of_validation(self) -> tuple[int, dict[str, float]]:
        """Return the images of all processes, and their AP, AP50 and AP75; NaN without objects."""
        found: dict[int, list[dict[str, Any]]] = {}
        for share in gathered(self._found):
            found.update(share)
        if not found:
            return 0, {}
        scores = scores_of(self.dataset, found)
        return len(found), {f"val_{name}": _number(getattr(scores, name)) for name in COLUMNS}

    def states(self) -> dict[str, Any]:
        """Return the sums of this process; validation never stands half done in a checkpoint."""
        return {"images": self._images, "losses": dict(self._losses)}

    def restore(self, states: dict[str, Any]) -> None:
        """Take back what ``states`` returned."""
        self._images, self._losses = int(states["images"]), dict(states["losses"])


def scores_of(
    dataset: DetectionDataset, found: Mapping[int, Sequence[dict[str, Any]]]
) -> BoxScores:
    """Score what was found in the images of these places, and in no others."""
    places = sorted(found)
    return score_boxes(dataset.truth(places), [one for place in places for one in found[place]])


def _number(value: float | None) -> float:
    return math.nan if value is None else value

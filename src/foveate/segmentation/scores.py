"""Intersection over union and pixel accuracy, from one confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.segmentation.data.samples import IGNORED


def confusion(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels by what they are and what they are taken for.

    Args:
        predicted: Classes, of any shape.
        truth: The same of what is true; pixels that are ``IGNORED`` do not count.
        classes: How many classes there are.

    Returns:
        (classes, classes) int64: rows are true classes, columns predicted ones.

    Raises:
        ValueError: If the shapes differ, or a class is none.

    Example:
        >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    if predicted.shape != truth.shape:
        got = Words(f"{tuple(predicted.shape)} and {tuple(truth.shape)}")
        raise ValueError(expected("confusion", "predictions and truth of one shape", got))
    judged = truth != IGNORED
    rows, columns = truth[judged].long(), predicted[judged].long()
    pairs = rows * classes + columns
    outside = (rows < 0) | (rows >= classes) | (columns < 0) | (columns >= classes)
    if bool(outside.any()):
        got = Words(f"{int(rows[outside][0])} taken for {int(columns[outside][0])}")
        raise ValueError(expected("confusion", f"classes in 0..{classes - 1}", got))
    return torch.bincount(pairs, minlength=classes**2).view(classes, classes)


@dataclass(frozen=True)
class ClassScores:
    """What a confusion matrix says.

    The intersection over union of a class is its rightly found pixels over all that are of it or
    taken for it. A class that is neither anywhere has none and is left out of the mean; one that is
    nowhere but is found somewhere has 0.

    Source: Everingham et al., The Pascal visual object classes challenge, IJCV 2015, section 4.

    Args:
        matrix: (K, K) int64 as of :func:`confusion`, summed over images.
        classes: Names.
    """

    matrix: Tensor
    classes: Sequence[str]

    @property
    def ious(self) -> list[float | None]:
        """Intersection over union by class; None of one that is left out."""
        right = self.matrix.diag()
        union = self.matrix.sum(dim=0) + self.matrix.sum(dim=1) - right
        pairs = zip(right.tolist(), union.tolist(), strict=True)
        return [hit / all_ if all_ else None for hit, all_ in pairs]

    @property
    def miou(self) -> float | None:
        """Their mean; None if nothing was judged."""
        there = [iou for iou in self.ious if iou is not None]
        return fmean(there) if there else None

    @property
    def pixel_accuracy(self) -> float | None:
        """Share of the judged pixels that are right; None without any."""
        pixels = int(self.matrix.sum())
        return int(self.matrix.diag().sum()) / pixels if pixels else None

    def as_dict(self) -> dict[str, Any]:
        """Return what a result has of it: fractions, pixels, and who was left out."""
        pixels = self.matrix.sum(dim=1).tolist()
        named = list(zip(self.classes, self.ious, pixels, strict=True))
        return {
            "miou": self.miou,
            "pixel_accuracy": self.pixel_accuracy,
            "per_class": [{"name": n, "iou": iou, "pixels": count} for n, iou, count in named],
            "absent": [name for name, iou, _ in named if iou is None],
            "pixels": sum(pixels),
            "confusion": self.matrix.tolist(),
        }

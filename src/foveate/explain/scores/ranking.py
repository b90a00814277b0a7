"""Scores that know only the order of a map's pixels: rank accuracy, top-k, ROC area.

Ties count as a coin would on average: a score is its expectation over random orders among equal
pixels, so that a flat map scores chance, not whatever the first rows happen to hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.explain.scores.arguments import check_maps
from foveate.explain.scores.sfd import check_number


def relevance_rank_accuracy(maps: Tensor, regions: Tensor) -> Tensor:
    """Share of the |R| hottest pixels that lie on the region R.

    Args:
        maps: (N, H, W) floating, >= 0.
        regions: (N, H, W) bool, True on the object.

    Returns:
        (N,) float64 in [0, 1]; chance is the region's share of the image. NaN if the region is
        empty or the map has a NaN.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ or a value is negative.

    Source: Arras et al., CLEVR-XAI: a benchmark dataset for explanations, 2022.

    Example:
        >>> heat = torch.tensor([[[4.0, 3.0, 2.0, 1.0]]])
        >>> relevance_rank_accuracy(heat, torch.tensor([[[True, False, True, False]]])).item()
        0.5
    """
    check_maps("relevance_rank_accuracy", maps, regions)
    return _vector([one.rank_accuracy() for one in ordered(maps, regions)], maps)


def top_k_intersection(maps: Tensor, regions: Tensor, *, k: float = 0.05) -> Tensor:
    """Share of the hottest pixels, a share ``k`` of the image, that lie on the region.

    A region smaller than ``k`` cannot reach 1.

    Args:
        maps: (N, H, W) floating, >= 0.
        regions: (N, H, W) bool, True on the object.
        k: Share of the image in (0, 1]; rounded to whole pixels, at least one.

    Returns:
        As ``relevance_rank_accuracy``.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ, a value is negative or ``k`` is out of range.

    Source: Theiner et al., Interpretable semantic photo geolocation, 2022.

    Example:
        >>> heat = torch.tensor([[[4.0, 3.0, 2.0, 1.0]]])
        >>> top_k_intersection(heat, torch.tensor([[[True, False, False, False]]]), k=0.25).item()
        1.0
    """
    check_share("top_k_intersection", k)
    check_maps("top_k_intersection", maps, regions)
    return _vector([one.top_k(k) for one in ordered(maps, regions)], maps)


def localization_auc(maps: Tensor, regions: Tensor) -> Tensor:
    """Area under the ROC curve of the map as a detector of the region's pixels.

    It is the chance that a pixel of the region is hotter than one outside; ties count half.

    Args:
        maps: (N, H, W) floating, >= 0.
        regions: (N, H, W) bool, True on the object.

    Returns:
        (N,) float64 in [0, 1]; chance is 1/2. NaN if the region is empty or the whole image, or
        the map has a NaN.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ or a value is negative.

    Source: Hanley and McNeil, The meaning and use of the area under a ROC curve, 1982.

    Example:
        >>> heat = torch.tensor([[[4.0, 3.0, 2.0, 1.0]]])
        >>> localization_auc(heat, torch.tensor([[[True, False, True, False]]])).item()
        0.75
    """
    check_maps("localization_auc", maps, regions)
    return _vector([one.auc() for one in ordered(maps, regions)], maps)


@dataclass(frozen=True)
class Ordered:
    """One image's pixels in ascending order, from which all three scores are read.

    Attributes:
        inside: Sorted values on the region.
        outside: Sorted values beside it.
        every: Sorted values of the image.
    """

    inside: Any
    outside: Any
    every: Any

    @property
    def known(self) -> bool:
        """Whether there is a region, and no NaN (which is sorted to the end)."""
        return len(self.inside) > 0 and not np.isnan(self.every[-1])

    def rank_accuracy(self) -> float:
        """Share of as many hottest pixels as the region has that lie on it."""
        return self._hits(len(self.inside)) if self.known else math.nan

    def top_k(self, k: float) -> float:
        """Share of the hottest pixels, a share ``k`` of all, that lie on the region."""
        return self._hits(max(1, round(k * len(self.every)))) if self.known else math.nan

    def auc(self) -> float:
        """Chance that a pixel inside is hotter than one outside."""
        if not self.known or not len(self.outside):
            return math.nan
        below = np.searchsorted(self.outside, self.inside, "left").sum(dtype=np.int64)
        up_to = np.searchsorted(self.outside, self.inside, "right").sum(dtype=np.int64)
        return float(below + up_to) / 2 / (len(self.inside) * len(self.outside))

    def _hits(self, count: int) -> float:
        """Expected share of the ``count`` hottest pixels on the region, ties broken at random."""
        edge = self.every[-count]
        above = len(self.every) - np.searchsorted(self.every, edge, "right")
        tied = len(self.every) - np.searchsorted(self.every, edge, "left") - above
        above_inside = len(self.inside) - np.searchsorted(self.inside, edge, "right")
        tied_inside = len(self.inside) - np.searchsorted(self.inside, edge, "left") - above_inside
        return float(above_inside + (count - above) * tied_inside / tied) / count


def ordered(maps: Tensor, regions: Tensor) -> list[Ordered]:
    """Sort the pixels of each image once.

    NumPy sorts a map of 224 x 224 about 25 times as fast as PyTorch on a processor, and is given
    values that it knows: bfloat16 becomes float32, without loss.
    """
    values = maps.detach().to("cpu")
    values = values.float() if values.dtype == torch.bfloat16 else values
    pairs = zip(values.flatten(1).numpy(), regions.cpu().flatten(1).numpy(), strict=True)
    return [
        Ordered(np.sort(value[region]), np.sort(value[~region]), np.sort(value))
        for value, region in pairs
    ]


def check_share(who: str, k: float) -> None:
    """Check that ``k`` is a share of the image in (0, 1].

    Raises:
        TypeError: If it is no number.
        ValueError: If it is out of range.
    """
    check_number(who, "k", k, np.nextafter(0.0, 1.0).item(), 1.0)


def _vector(scores: list[float], maps: Tensor) -> Tensor:
    return torch.tensor(scores, dtype=torch.float64, device=maps.device)

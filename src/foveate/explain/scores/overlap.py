"""Overlap of a map's salient set with the object: intersection over union."""

from __future__ import annotations

from torch import Tensor

from foveate.explain.scores.arguments import check_maps, defined, share
from foveate.explain.scores.sfd import check_number, salient_set


def iou(maps: Tensor, regions: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Intersection over union of the region and the pixels from ``threshold`` on.

    Args:
        maps: (N, H, W) floating, normalized to [0, 1].
        regions: (N, H, W) bool, True on the object.
        threshold: In [0, 1]; compared in the maps' dtype.

    Returns:
        (N,) float64 in [0, 1]; NaN if the region is empty or the map has a NaN.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ, or a value leaves [0, 1].

    Example:
        >>> import torch
        >>> heat = torch.tensor([[[0.9, 0.8, 0.1]]])
        >>> iou(heat, torch.tensor([[[True, False, False]]])).item()
        0.5
    """
    check_number("iou", "threshold", threshold, 0.0, 1.0)
    check_maps("iou", maps, regions, high=1.0)
    salient = salient_set(maps, threshold)
    both, either = (salient & regions).sum((1, 2)), (salient | regions).sum((1, 2))
    return defined(both.double() / either, regions, _known(maps))


def iou_chance(maps: Tensor, regions: Tensor, *, threshold: float = 0.5) -> Tensor:
    """What as many salient pixels score in random places, to within about 1 / |image|.

    With s and r the shares of the image that are salient and region, s r of it are expected to be
    both, which makes s r / (s + r - s r). A flat map, all or nothing salient, scores exactly this.

    Args:
        maps: As for ``iou``.
        regions: As for ``iou``.
        threshold: As for ``iou``.

    Raises:
        TypeError: As ``iou``.
        ValueError: As ``iou``.
    """
    check_number("iou_chance", "threshold", threshold, 0.0, 1.0)
    check_maps("iou_chance", maps, regions, high=1.0)
    salient, region = share(salient_set(maps, threshold)), share(regions)
    both = salient * region
    return defined(both / (salient + region - both), regions, _known(maps))


def _known(maps: Tensor) -> Tensor:
    """Whether a map has no NaN, which its maximum would be."""
    return ~maps.amax((1, 2)).isnan()

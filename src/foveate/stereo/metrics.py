"""How far disparities are off: end-point error, and the shares of pixels that are off by much.

D1 is that of KITTI Stereo 2015: off by more than 3 px and by more than 5 % of the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from foveate.core import expected

NAMES = ("epe", "bad1", "bad3", "d1")
SEEN = "_seen"
"""Ends the names of scores without the pixels that the right view does not show."""
SCORES = (*NAMES, *(f"{name}{SEEN}" for name in NAMES))
COLUMNS = ("epe", "epe_seen", "bad1", "bad3", "d1")
"""Scores that every epoch has."""
Sums = dict[str, float]


def error_sums(
    found: Tensor, disparity: Tensor, valid: Tensor, occluded: Tensor | None = None
) -> Sums:
    """Add up the errors of one map; sums of several maps may be added.

    Args:
        found: (H, W) in pixels.
        disparity: (H, W), the truth in pixels.
        valid: (H, W) bool, where it is known.
        occluded: (H, W) bool, what the right view does not show; None if nobody knows, and then
            the map counts in no score without such pixels.

    Returns:
        Numbers of pixels (``count``, ``count_seen``) and sums over them, by name of the score.

    Raises:
        ValueError: If the maps differ in size, or a disparity that was found is not finite.
    """
    if found.shape != disparity.shape:
        sizes = f"{tuple(found.shape)} and {tuple(disparity.shape)}"
        raise ValueError(expected("error_sums", "maps of one size", sizes))
    gap = (found.double() - disparity.double()).abs()
    far = {
        "epe": gap,
        "bad1": (gap > 1).double(),
        "bad3": (gap > 3).double(),
        "d1": ((gap > 3) & (gap > 0.05 * disparity.double())).double(),
    }
    seen = torch.zeros_like(valid) if occluded is None else valid & ~occluded
    sums = {}
    for end, mask in (("", valid), (SEEN, seen)):
        sums[f"count{end}"] = float(mask.sum())
        sums |= {f"{name}{end}": float(values[mask].sum()) for name, values in far.items()}
    return sums


def scores_of(sums: Iterable[Mapping[str, float]]) -> dict[str, float | None]:
    """Turn the sums of maps into scores over all their pixels together.

    Returns:
        ``epe`` in pixels, ``bad1``, ``bad3`` and ``d1`` as fractions, and the same with ``_seen``;
        None where no pixel counts. And ``pixels``, how many were known.

    Example:
        >>> truth = torch.tensor([[1.0, 10.0, 100.0, 0.0]])
        >>> off = torch.tensor([[1.5, 12.0, 104.0, 9.0]])
        >>> known = torch.tensor([[True, True, True, False]])
        >>> found = scores_of([error_sums(off, truth, known)])
        >>> round(found["epe"], 4), round(found["bad1"], 4), found["d1"], found["epe_seen"]
        (2.1667, 0.6667, 0.0, None)
    """
    listed = list(sums)
    total = {
        name: math.fsum(one[name] for one in listed) for name in (*SCORES, "count", f"count{SEEN}")
    }
    found: dict[str, float | None] = {"pixels": int(total["count"])}
    for end in ("", SEEN):
        count = total[f"count{end}"]
        found |= {
            f"{name}{end}": total[f"{name}{end}"] / count if count else None for name in NAMES
        }
    return found

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
_STEPS, _MOST = 64, 2**14
"""To a pixel, and the pixels beyond which all disparities count as one."""


class Disparities:
    """Counts the disparities of many maps without keeping them: a film has more than memory."""

    def __init__(self) -> None:
        self._sums: list[float] = []
        self._tally = torch.zeros(0, dtype=torch.int64)

    def add(self, disparity: Tensor) -> None:
        """Count disparities (N,) in pixels, 0 or more."""
        known = disparity.double()
        self._sums.append(float(known.sum()))
        steps = (known * _STEPS).round().clamp(0, _MOST * _STEPS).long()
        more = torch.bincount(steps, minlength=len(self._tally))
        more[: len(self._tally)] += self._tally
        self._tally = more

    def mean_and_spread(self) -> tuple[float | None, float | None]:
        """Return their mean and the mean distance from it, that to a 64th of a pixel; or None."""
        count = int(self._tally.sum())
        if not count:
            return None, None
        mean = math.fsum(self._sums) / count
        steps = torch.arange(len(self._tally), dtype=torch.float64) / _STEPS
        return mean, float((self._tally * (steps - mean).abs()).sum()) / count


def error_sums(
    found: Tensor, disparity: Tensor, valid: Tensor, occluded: Tensor | None = None
) -> Sums:
    """Add up the errors of one map; sums of several maps may be added.

    A disparity that is no number is wrong by infinity.

    Args:
        found: (H, W) in pixels.
        disparity: (H, W), the truth in pixels.
        valid: (H, W) bool, where it is known.
        occluded: (H, W) bool, what the right view does not show; None if nobody knows, and then
            the map counts in no score without such pixels.

    Returns:
        Numbers of pixels (``count``, ``count_seen``) and sums over them, by name of the score.

    Raises:
        ValueError: If the maps differ in size.
    """
    if found.shape != disparity.shape:
        sizes = f"{tuple(found.shape)} and {tuple(disparity.shape)}"
        raise ValueError(expected("error_sums", "maps of one size", sizes))
    gap = (found.double() - disparity.double()).abs().nan_to_num(nan=math.inf, posinf=math.inf)
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
        None where no pixel counts, or the error is not finite. And ``pixels``, how many were known.

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
            f"{name}{end}": total[f"{name}{end}"] / count
            if count and math.isfinite(total[f"{name}{end}"])
            else None
            for name in NAMES
        }
    return found

"""Running statistics of one gate: what many images add up to, in memory that does not grow."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHUT, OPEN = 0.05, 0.95
"""Below and above these a gate between 0 and 1 counts as saturated."""
STEPS = 64
"""Values of gates and displacements are counted in steps of 1 / 64."""


class Histogram:
    """Counts of values in steps of 1 / 64, of what lies beyond the ends in the last steps.

    Args:
        low: Lower end.
        high: Upper end.
    """

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.counts = torch.zeros((high - low) * STEPS, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Count finite values."""
        step = ((values.flatten().float() - self.low) * STEPS).floor()
        step = step.clamp_(0, len(self.counts) - 1).long()
        self.counts += torch.bincount(step, minlength=len(self.counts)).cpu()

    def entropy(self) -> float:
        """Shannon entropy of the steps, in bits."""
        share = self.counts[self.counts > 0] / self.counts.sum()
        return float(-(share * share.log2()).sum()) + 0.0  # never -0.0

    def quantile(self, share: float) -> float:
        """The upper end of the step that holds a quantile; 0 where all values are below a step."""
        below = self.counts.cumsum(0)
        step = int((below < share * below[-1]).sum())
        return 0.0 if step == 0 and self.low == 0 else self.low + (step + 1) / STEPS


class GateTally:
    """What the gate of one place does, summed over images.

    The spread over images is that of every single weight, so sums are kept per channel and
    position, for each size of map that comes.
    """

    def __init__(self) -> None:
        self.low, self.high = float("inf"), -float("inf")
        self.count = self.total = self.square = 0.0
        self.shut = self.open = 0
        self.variance, self.rows = 0.0, 0  # of the places, summed over images and channels
        self.by_weight: dict[tuple[int, ...], tuple[Tensor, Tensor, Tensor]] = {}
        self.peak: Tensor | None = None
        self.values = Histogram(-4, 4)

    def add(self, gate: Tensor, known: Tensor | None = None) -> None:
        """Take in the weights of a batch.

        Args:
            gate: (N, C, h, w), finite where known; h = w = 1 where there is no map.
            known: (N, C, h, w) bool; None for all.
        """
        known = torch.ones_like(gate, dtype=torch.bool) if known is None else known
        if not bool(known.any()):
            return
        gate = torch.where(known, gate, torch.zeros_like(gate)).detach().double()
        values = gate[known]
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        self.count += values.numel()
        self.total += float(values.sum())
        self.square += float(values.square().sum())
        self.shut += int((values < SHUT).sum())
        self.open += int((values > OPEN).sum())
        self.values.add(values)
        here = known.flatten(2).sum(2).clamp_min(1)
        mean = (gate.flatten(2).sum(2) / here)[:, :, None, None]
        around = torch.where(known, gate - mean, torch.zeros_like(gate))
        self.variance += float((around.square().flatten(2).sum(2) / here).sum())
        self.rows += int(known.flatten(2).any(2).sum())
        peak = gate.masked_fill(~known, -torch.inf).amax((0, 2, 3))
        self.peak = peak if self.peak is None else torch.maximum(self.peak, peak)
        key = tuple(gate.shape[1:])
        sums = (known.sum(0), gate.sum(0), gate.square().sum(0))
        before = self.by_weight.get(key)
        self.by_weight[key] = (
            sums if before is None
            else (before[0] + sums[0], before[1] + sums[1], before[2] + sums[2])
        )  # fmt: skip

    @property
    def mean(self) -> float:
        """Mean of all weights."""
        return self.total / self.count

    @property
    def spread(self) -> float:
        """Standard deviation of all weights."""
        return _root(self.square / self.count - self.mean**2)

    @property
    def spread_places(self) -> float | None:
        """Root mean square over images and channels of the deviation over places; None: no map."""
        mapped = any(key[1] * key[2] > 1 for key in self.by_weight)
        return _root(self.variance / self.rows) if mapped else None

    @property
    def spread_images(self) -> float | None:
        """Root mean square over weights of the deviation over images; None of a single image."""
        variance, weights = 0.0, 0
        for seen, total, square in self.by_weight.values():
            several = seen > 1
            number = seen[several].double()
            around = square[several] / number - (total[several] / number).square()
            variance += float(around.clamp_min(0).sum())
            weights += int(several.sum())
        return _root(variance / weights) if weights else None

    @property
    def channels(self) -> int:
        """Channels of the gate."""
        return 0 if self.peak is None else len(self.peak)

    @property
    def dead_channels(self) -> int:
        """Channels that were never seen above ``SHUT``."""
        if self.peak is None:
            return 0
        return int((self.peak.isfinite() & (self.peak <= SHUT)).sum())

    @property
    def is_share(self) -> bool:
        """Whether all weights lie between 0 and 1, so that shut and open have a meaning."""
        return self.low >= 0 and self.high <= 1


def _root(variance: float) -> float:
    return math.sqrt(max(variance, 0.0))

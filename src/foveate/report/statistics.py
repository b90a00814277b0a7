"""Means, intervals and paired tests over a few seeds.

A seed is the unit of everything here: the spread between seeds is what a difference has to beat.
Source of the correction: Holm, A simple sequentially rejective multiple test procedure, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foveate.core import expected
from foveate.report.student import quantile, two_sided_p

CONFIDENCE = 0.95
LEVEL = 0.05


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        count: How many seeds.
        mean: Their mean.
        deviation: Sample standard deviation (n - 1); None with one seed.
        half_width: Half of the 95 % t-interval; None with one seed: nothing is known of the spread.
    """

    count: int
    mean: float
    deviation: float | None
    half_width: float | None

    @property
    def low(self) -> float | None:
        """Lower end of the interval."""
        return None if self.half_width is None else self.mean - self.half_width

    @property
    def high(self) -> float | None:
        """Upper end of the interval."""
        return None if self.half_width is None else self.mean + self.half_width


@dataclass(frozen=True)
class Comparison:
    """A difference between two variants, paired by seed.

    Attributes:
        difference: Mean difference with its interval.
        p: Two-sided p-value of the paired t-test; None if it cannot be tested.
        why_untested: Why ``p`` is None, else empty.
    """

    difference: Estimate
    p: float | None
    why_untested: str = ""


def estimate(values: Sequence[float]) -> Estimate:
    """Mean of ``values`` with its 95 % t-interval.

    Raises:
        ValueError: If there are no values.

    Example:
        >>> round(estimate([0.5, 0.6, 0.7]).half_width, 4)
        0.2484
    """
    if not values:
        raise ValueError(expected("estimate", "at least one value", "none"))
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(1, mean, None, None)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = quantile(CONFIDENCE, count - 1) * deviation / math.sqrt(count)
    return Estimate(count, mean, deviation, half)


def compare(ours: Mapping[int, float], base: Mapping[int, float]) -> Comparison | None:
    """Paired comparison over the seeds that both have.

    Args:
        ours: Result by seed.
        base: Result by seed of what it is compared with.

    Returns:
        The comparison, or None where no seed is shared.

    Example:
        >>> round(compare({0: 0.5, 1: 0.7, 2: 0.6}, {0: 0.4, 1: 0.5, 2: 0.3}).p, 4)
        0.0742
    """
    seeds = sorted(ours.keys() & base.keys())
    if not seeds:
        return None
    gap = estimate([ours[seed] - base[seed] for seed in seeds])
    if gap.deviation is None:
        return Comparison(gap, None, "one seed says nothing about the spread")
    # Equal differences up to rounding: t would be infinite, a certainty that few seeds cannot give.
    if gap.deviation <= 1e-12 * max(1.0, abs(gap.mean)):
        if abs(gap.mean) <= 1e-12:
            return Comparison(gap, 1.0)
        return Comparison(gap, None, "every seed differs by the same amount")
    t = gap.mean / (gap.deviation / math.sqrt(gap.count))
    return Comparison(gap, two_sided_p(t, gap.count - 1))


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Correct p-values for the number of comparisons made, by Holm's step-down method.

    Args:
        p_values: One p-value per comparison; None is passed through and not counted.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None})
        {'a': 0.03, 'b': 0.06, 'c': 0.06, 'd': None}
    """
    tested = sorted((p, name) for name, p in p_values.items() if p is not None)
    corrected: dict[str, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for rank, (p, name) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        corrected[name] = largest
    return corrected

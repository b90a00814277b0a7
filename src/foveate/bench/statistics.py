"""What is made of measured numbers: means of ratios, quartiles, exponents."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from foveate.core import expected


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean for ratios: twice as fast here and half as fast there is 1.

    Raises:
        ValueError: If there is none, or one is not positive.

    Example:
        >>> geometric_mean([0.5, 2.0])
        1.0
    """
    values = list(ratios)
    if not values or min(values) <= 0:
        raise ValueError(expected("geometric_mean", "positive ratios", values))
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The median, and the distance between the quartiles (0 for a single value).

    Example:
        >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
        (3.0, 2.0)
    """
    if len(values) < 2:
        return statistics.median(values), 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return statistics.median(values), high - low


@dataclass(frozen=True)
class PowerLaw:
    """A fit y = factor * x ** exponent.

    Attributes:
        exponent: The slope in doubly logarithmic axes.
        factor: y at x = 1.
        low: The smallest x of the fit.
        high: The largest.
        points: How many points it stands on.
    """

    exponent: float
    factor: float
    low: float
    high: float
    points: int


def power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """Fit a power law by least squares of the logarithms.

    Raises:
        ValueError: If there are not two different x, or a number is not positive.

    Example:
        >>> power_law([1, 2, 4], [3, 12, 48]).exponent
        2.0
    """
    if len(x) != len(y) or len(set(x)) < 2 or min(*x, *y) <= 0:
        raise ValueError(expected("power_law", "two points or more, all positive", (x, y)))
    fit = statistics.linear_regression([math.log(one) for one in x], [math.log(one) for one in y])
    exponent = round(fit.slope, 12)
    return PowerLaw(exponent, math.exp(fit.intercept), min(x), max(x), len(x))

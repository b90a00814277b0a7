r"""Student's t distribution: tail probability and quantile, from the incomplete beta function.

Source: $P(|T| > t) = I_x(\nu/2, 1/2)$ with $x = \nu / (\nu + t^2)$, Abramowitz and Stegun 26.7.1;
the continued fraction is their 26.5.8, evaluated by Lentz's method.
"""

from __future__ import annotations

import math

from foveate.core import expected


def two_sided_p(t: float, freedom: int) -> float:
    """Probability that Student's t is at least ``abs(t)`` away from 0.

    Args:
        t: The statistic; infinite gives 0.
        freedom: Degrees of freedom, at least 1.

    Raises:
        ValueError: If ``freedom`` is below 1.

    Example:
        >>> round(two_sided_p(4.302653, 2), 6)
        0.05
    """
    if freedom < 1:
        raise ValueError(expected("two_sided_p", "freedom >= 1", freedom))
    if math.isnan(t):
        return math.nan
    if math.isinf(t):
        return 0.0
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def quantile(confidence: float, freedom: int) -> float:
    """The t that is exceeded in size with probability ``1 - confidence``.

    Args:
        confidence: Coverage of the two-sided interval, in (0, 1).
        freedom: Degrees of freedom, at least 1.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> round(quantile(0.95, 2), 4)
        4.3027
    """
    if not 0 < confidence < 1:
        raise ValueError(expected("quantile", "confidence in (0, 1)", confidence))
    tail = 1 - confidence
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > tail:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if two_sided_p(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularized incomplete beta function $I_x(a, b)$."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    # The fraction converges fast below the mean only; above it the mirrored one does.
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    tiny = 1e-300
    c = 1.0
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 10_000):
        step = 1.0
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + term / c
            c = c if abs(c) > tiny else tiny
            step = c * d
            value *= step
        if abs(step - 1) < 1e-15:
            break
    return value

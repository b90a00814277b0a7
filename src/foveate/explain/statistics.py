"""Intervals and paired tests over images: how sure a mean of scores is.

An image is the unit here. The interval tells what other images of the same kind might give for the
same two trained networks; what training again would give is a question for several seeds.
Sources: Efron, Better bootstrap confidence intervals, 1987 (bias corrected, accelerated); Phipson
and Smyth, Permutation p-values should never be zero, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.core import Words, check_positive_int, expected

EXACT_IMAGES = 16
# Draws are made in blocks of this many numbers: memory stays at some 10 MB for any count of images.
_BLOCK = 2**20
_SIDES = NormalDist()

Values = Tensor | Sequence[float] | Any


@dataclass(frozen=True)
class Interval:
    """A mean over images with its bootstrap interval.

    Attributes:
        mean: Of the defined values; NaN if there is none.
        low: Lower end; NaN with fewer than two values: one image tells no spread.
        high: Upper end, likewise.
        count: How many values were defined.
        left_out: How many were NaN.
    """

    mean: float
    low: float
    high: float
    count: int
    left_out: int = 0


@dataclass(frozen=True)
class Paired:
    """Two networks compared on the same images.

    Attributes:
        difference: Mean of ours - base over the images where both are defined.
        p: Two-sided p-value of the sign-flip test; NaN without an image.
        count: How many images it stands on.
    """

    difference: Interval
    p: float
    count: int


def bootstrap(
    values: Values, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean over images with its bias-corrected, accelerated bootstrap interval.

    With ten images or fewer the true confidence is some percent lower than asked for.

    Args:
        values: (N,) scores, one an image; NaN marks an undefined one, left out and counted.
        confidence: In (0, 1).
        resamples: How many times images are drawn with replacement.
        seed: Of the draws; equal input gives equal output.

    Raises:
        TypeError: If ``resamples`` is no integer.
        ValueError: If values are not one-dimensional or infinite, or a number is out of range.

    Example:
        >>> found = bootstrap([0.5, 0.7, float("nan"), 0.6, 0.6])
        >>> round(found.mean, 3), found.count, found.left_out, found.low < 0.6 < found.high
        (0.6, 4, 1, True)
    """
    who = "bootstrap"
    kept, left_out = _defined(who, values)
    if not 0 < confidence < 1:
        raise ValueError(expected(who, "confidence in (0, 1)", confidence))
    check_positive_int(who, "resamples", resamples)
    count = len(kept)
    mean = math.fsum(kept) / count if count else math.nan
    if count < 2:
        return Interval(mean, math.nan, math.nan, count, left_out)
    if kept.min() == kept.max():
        return Interval(mean, mean, mean, count, left_out)
    off = kept - mean
    drawn = np.sort(np.concatenate(list(_resampled(off, resamples, seed))))
    low, high = (
        float(np.quantile(drawn, level)) for level in _levels(off, drawn, (1 - confidence) / 2)
    )
    return Interval(mean, mean + low, mean + high, count, left_out)


def paired(
    ours: Values,
    base: Values,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    flips: int = 9999,
    seed: int = 0,
) -> Paired:
    """Compare two networks image by image: mean difference, interval, and a sign-flip test.

    If the networks were alike, each difference would be as likely with the other sign. The p-value
    is the share of sign patterns whose mean is as far from 0 as the one seen: of all patterns
    with up to 16 differing images, of ``flips`` random ones and the seen one beyond.

    Args:
        ours: (N,) scores of one network, NaN where undefined.
        base: (N,) scores of the other, on the same images in the same order.
        confidence: As for ``bootstrap``.
        resamples: As for ``bootstrap``.
        flips: How many random sign patterns, where all are too many.
        seed: Of the draws.

    Returns:
        Over the images where both are defined; ``difference.left_out`` counts the others.

    Raises:
        TypeError: If ``resamples`` or ``flips`` is no integer.
        ValueError: If the vectors differ in length, or as for ``bootstrap``.

    Example:
        >>> paired([0.7, 0.8, 0.9], [0.5, 0.7, 0.6]).p
        0.25
    """
    who = "paired"
    first, second = _vector(who, ours), _vector(who, base)
    if first.shape != second.shape:
        rule = f"as many values of base as of ours, {len(first)}"
        raise ValueError(expected(who, rule, len(second)))
    check_positive_int(who, "flips", flips)
    difference = first - second
    interval = bootstrap(difference, confidence=confidence, resamples=resamples, seed=seed)
    kept = difference[~np.isnan(difference)]
    p = sign_flip_p(kept, flips, seed) if len(kept) else math.nan
    return Paired(interval, p, len(kept))


def sign_flip_p(differences: Any, flips: int, seed: int) -> float:
    """Two-sided p-value of the mean of ``differences`` under random signs.

    Args:
        differences: (N,) float64 array, finite.
        flips: How many random patterns, if more than 16 differences are not 0.
        seed: Of the patterns.
    """
    moved = differences[differences != 0]
    # Sums of the same numbers in another order differ in the last bits; they must count as equal.
    seen = abs(math.fsum(moved)) - 1e-12 * float(np.abs(moved).sum())
    if len(moved) <= EXACT_IMAGES:
        return float((np.abs(_all_signs(moved)) >= seen).mean())
    hits = sum(int((np.abs(sums) >= seen).sum()) for sums in _random_signs(moved, flips, seed))
    return (hits + 1) / (flips + 1)


def _all_signs(moved: Any) -> Any:
    bits = np.arange(1 << len(moved))[:, None] >> np.arange(len(moved))
    return (1.0 - 2.0 * (bits & 1)) @ moved


def _random_signs(moved: Any, flips: int, seed: int) -> Iterator[Any]:
    generator = np.random.default_rng(seed)
    whole = moved.sum()
    for rows in _rows(flips, len(moved)):
        width = -(-len(moved) // 8)
        bits = np.unpackbits(generator.integers(0, 256, (rows, width), np.uint8), axis=1)
        yield whole - 2.0 * (bits[:, : len(moved)].astype(np.float64) @ moved)


def _resampled(off: Any, resamples: int, seed: int) -> Iterator[Any]:
    """Means of draws with replacement, block by block."""
    generator = np.random.default_rng(seed)
    for rows in _rows(resamples, len(off)):
        yield off[generator.integers(0, len(off), (rows, len(off)), np.int32)].mean(1)


def _rows(total: int, width: int) -> Iterator[int]:
    """Cut ``total`` rows of ``width`` numbers into blocks."""
    step = max(1, _BLOCK // width)
    for start in range(0, total, step):
        yield min(step, total - start)


def _levels(off: Any, drawn: Any, tail: float) -> Iterator[float]:
    """At which quantiles of the resampled means the interval ends (Efron 1987, eq. 3.9)."""
    below = (np.searchsorted(drawn, 0.0, "left") + np.searchsorted(drawn, 0.0, "right")) / 2
    edge = 0.5 / len(drawn)
    bias = _SIDES.inv_cdf(min(max(float(below) / len(drawn), edge), 1 - edge))
    # For a mean the jackknife has a closed form: the skewness over 6 sqrt(N).
    acceleration = float((off**3).sum()) / (6 * float((off**2).sum()) ** 1.5)
    for z in (_SIDES.inv_cdf(tail), _SIDES.inv_cdf(1 - tail)):
        shifted = bias + z
        yield _SIDES.cdf(bias + shifted / max(1 - acceleration * shifted, 1e-9))


def _defined(who: str, values: Values) -> tuple[Any, int]:
    vector = _vector(who, values)
    kept = vector[~np.isnan(vector)]
    return kept, len(vector) - len(kept)


def _vector(who: str, values: Values) -> Any:
    if isinstance(values, Tensor):
        values = values.detach().to("cpu", torch.float64).numpy()
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(expected(who, "one value an image, of shape (N,)", vector.shape))
    if np.isinf(vector).any():
        rule = "finite values (NaN marks an undefined one)"
        raise ValueError(expected(who, rule, Words("inf")))
    return vector

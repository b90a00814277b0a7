r"""Salient feature detection (sfd): does the heat of a map lie on the object?

With a map h in [0, 1], a region R and the salient set S = {p : h(p) >= threshold}:

.. math:: B = R \cup S, \quad W(p) = base^{h(p)} - shift, \quad
          sfd = \sum_{p \in R} W(p) \Big/ \sum_{p \in B} W(p).

Source of the procedure: arXiv 2311.12091, section 4, which prints neither base, shift, threshold
nor the layer of the map. This is its plain reading, a ratio of sums, which R inside B keeps
in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.explain.scores.arguments import area, by_pieces, check_maps, check_mask, defined, share

BASES = (2.0, math.e, 10.0)
SHIFTS = (0.0, 1.0)
THRESHOLDS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class SfdScore:
    """One sfd per image, with what it has to be read beside; each (N,) float64.

    Attributes:
        score: In [0, 1]; 1 if nothing salient lies outside the region. NaN if the region is
            empty, the map has a NaN, or (``shift`` 1 only) all of B is cold.
        chance: |R| / |B|, what a flat map scores on the same B; NaN where ``score`` is.
        area: |R| / |image|; NaN if the region is empty.
        outside: |B outside R| / |image|: how much the map finds salient beside the object; NaN
            where ``score`` is.
    """

    score: Tensor
    chance: Tensor
    area: Tensor
    outside: Tensor


def sfd(
    maps: Tensor,
    regions: Tensor,
    *,
    base: float = 10.0,
    shift: float = 0.0,
    threshold: float = 0.5,
    salient: Tensor | None = None,
) -> SfdScore:
    """Share of the anti-log heat of B = R + salient outside that lies on the region R.

    Args:
        maps: (N, H, W) floating, normalized to [0, 1], as large as the regions.
        regions: (N, H, W) bool, True on the object.
        base: Of the anti-log, > 1.
        shift: Subtracted from the anti-log, in [0, 1]. With 0 cold pixels weigh 1; with 1 nothing.
        threshold: A pixel is salient from this value on, in [0, 1]; compared in the maps' dtype.
        salient: (N, H, W) bool: a fixed salient set in place of the map's own, for example the
            union of those of all compared networks: then none gains by a smaller one.

    Raises:
        TypeError: If maps are not floating or masks not bool.
        ValueError: If shapes differ, or a number is out of its range.

    Example:
        >>> heat = torch.tensor([[[1.0, 0.0, 1.0, 0.2]]])
        >>> found = sfd(heat, torch.tensor([[[True, True, False, False]]]))
        >>> round(found.score.item() * 21, 6), round(found.chance.item() * 3, 6)
        (11.0, 2.0)
    """
    check_sfd("sfd", base, shift, threshold)
    check_maps("sfd", maps, regions, high=1.0)
    if salient is None:
        salient = salient_set(maps, threshold)
    check_mask("sfd", "salient", salient, maps)
    outside = salient & ~regions
    score, chance = _scores(*_sums(maps, regions, [outside], [base]), shift)
    score, chance = score[:, 0, 0], chance[:, 0, 0]
    return SfdScore(score, chance, area(regions), defined(share(outside), regions, ~score.isnan()))


def sfd_grid(
    maps: Tensor,
    regions: Tensor,
    *,
    bases: Sequence[float] = BASES,
    shifts: Sequence[float] = SHIFTS,
    thresholds: Sequence[float] = THRESHOLDS,
    chance: bool = False,
) -> dict[str, Tensor]:
    """How sfd moves with its free choices: the score at every combination of them.

    Args:
        maps: As for ``sfd``.
        regions: As for ``sfd``.
        bases: Of the anti-log.
        shifts: Each in [0, 1].
        thresholds: Each in [0, 1].
        chance: Also give |R| / |B| under "KEY:chance": it moves with the threshold.

    Returns:
        (N,) float64 by keys like "sfd base=2 shift=0 threshold=0.3"; Euler's number is "e".

    Raises:
        TypeError: As ``sfd``.
        ValueError: As ``sfd``.

    Example:
        >>> heat, region = torch.rand(2, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool)
        >>> list(sfd_grid(heat, region, bases=(2, math.e), shifts=(1,), thresholds=(0.3,)))
        ['sfd base=2 shift=1 threshold=0.3', 'sfd base=e shift=1 threshold=0.3']
    """
    for base in bases:
        for shift in shifts:
            for threshold in thresholds:
                check_sfd("sfd_grid", base, shift, threshold)
    check_maps("sfd_grid", maps, regions, high=1.0)

    def score(maps: Tensor, regions: Tensor) -> dict[str, Tensor]:
        outside = [salient_set(maps, threshold) & ~regions for threshold in thresholds]
        sums, counts = _sums(maps, regions, outside, bases)
        by_shift = {shift: _scores(sums, counts, shift) for shift in shifts}
        found = {}
        for column, base in enumerate(bases):
            for shift in shifts:
                for row, threshold in enumerate(thresholds):
                    one, level = (table[:, row, column] for table in by_shift[shift])
                    key = grid_key(base, shift, threshold)
                    found[key] = one
                    if chance:
                        found[f"{key}:chance"] = level
        return found

    return by_pieces(score, maps, regions)


def _sums(
    maps: Tensor, regions: Tensor, outside: Sequence[Tensor], bases: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Sums of base ** h - 1 over the region and over each outside set, and the sets' sizes.

    Returns:
        (N, 1 + sets, bases) and (N, 1 + sets, 1), float64; the region comes first.
    """
    heat = maps.double().flatten(1)
    sets = torch.stack([regions, *outside], dim=1).flatten(2).double()
    # expm1 keeps warm pixels exact beside a shift of 1, where exp would cancel.
    weights = torch.stack([torch.expm1(heat * math.log(base)) for base in bases], dim=2)
    return sets @ weights, sets.sum(2, keepdim=True)


def _scores(sums: Tensor, counts: Tensor, shift: float) -> tuple[Tensor, Tensor]:
    """Score and chance level, (N, sets, bases) each, from what ``_sums`` returned."""
    weight = sums + (1 - shift) * counts
    inside, inside_count = weight[:, :1], counts[:, :1]
    whole = inside + weight[:, 1:]
    known = (inside_count > 0) & (whole > 0)
    score = (inside / whole).masked_fill(~known, math.nan)
    chance = (inside_count / (inside_count + counts[:, 1:])).masked_fill(~known, math.nan)
    return score, chance


def grid_key(base: float, shift: float, threshold: float) -> str:
    """Name one combination of choices.

    Example:
        >>> grid_key(10.0, 0.0, 0.5)
        'sfd base=10 shift=0 threshold=0.5'
    """
    shown = "e" if base == math.e else f"{base:g}"
    return f"sfd base={shown} shift={shift:g} threshold={threshold:g}"


def salient_set(maps: Tensor, threshold: float) -> Tensor:
    """Pixels from ``threshold`` on, compared in the maps' own dtype; NaN is never salient."""
    return maps >= threshold


def check_sfd(who: str, base: float, shift: float, threshold: float) -> None:
    """Check the free choices of sfd.

    Raises:
        TypeError: If one is no number.
        ValueError: If one is out of its range.
    """
    check_number(who, "base", base, 1.0, math.inf)
    if base <= 1:
        raise ValueError(expected(who, "base > 1", base))
    check_number(who, "shift", shift, 0.0, 1.0)
    check_number(who, "threshold", threshold, 0.0, 1.0)


def check_number(who: str, name: str, value: float, low: float, high: float) -> None:
    """Check that ``value`` is a finite number in [``low``, ``high``].

    Raises:
        TypeError: If it is no number.
        ValueError: If it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        got = Words(f"{value!r} ({type(value).__name__})")
        raise TypeError(expected(who, f"a number {name}", got))
    if not math.isfinite(value) or not low <= value <= high:
        rule = f"finite {name} >= {low:g}" if math.isinf(high) else f"{name} in [{low:g}, {high:g}]"
        raise ValueError(expected(who, rule, value))

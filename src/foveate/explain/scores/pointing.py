"""The pointing game: does the hottest pixel lie on the object?

Source: Zhang et al., Top-down neural attention by excitation backprop, 2016, who let a hit be
15 pixels off.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from foveate.explain.scores.arguments import area, check_maps, defined
from foveate.explain.scores.sfd import check_number


def pointing_game(maps: Tensor, regions: Tensor, *, tolerance: float = 0) -> Tensor:
    """1 if the hottest pixel lies on the region, else 0; of equal ones the share that does.

    It saturates, and several objects of one class make a hit easier.

    Args:
        maps: (N, H, W) floating, >= 0.
        regions: (N, H, W) bool, True on the object.
        tolerance: How many pixels off (Euclidean) a hit may be, >= 0.

    Returns:
        (N,) float64 in [0, 1]; chance is the share of the image that lies within ``tolerance`` of
        the region. NaN if the region is empty or the map has a NaN.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ, a value is negative or infinite, or ``tolerance`` is.

    Example:
        >>> heat, region = torch.tensor([[[0.1, 0.9, 0.2]]]), torch.tensor([[[True, False, False]]])
        >>> pointing_game(heat, region).item(), pointing_game(heat, region, tolerance=1).item()
        (0.0, 1.0)
    """
    check_number("pointing_game", "tolerance", tolerance, 0.0, math.inf)
    check_maps("pointing_game", maps, regions)
    hottest = maps == maps.amax((1, 2), keepdim=True)
    hits = (hottest & near(regions, tolerance)).sum((1, 2))
    # A map with a NaN equals its maximum nowhere: 0 / 0, which is the NaN to return.
    return defined(hits.double() / hottest.sum((1, 2)), regions)


def pointing_chance(regions: Tensor, *, tolerance: float = 0) -> Tensor:
    """What a random pixel scores: the share of the image within ``tolerance`` of the region.

    Args:
        regions: (N, H, W) bool.
        tolerance: As for ``pointing_game``.

    Returns:
        (N,) float64; NaN if the region is empty.
    """
    return area(near(regions, tolerance))


def near(regions: Tensor, tolerance: float) -> Tensor:
    """Grow regions (N, H, W) by all pixels whose centers lie at most ``tolerance`` away."""
    height, width = regions.shape[1:]
    if tolerance < 1:
        return regions
    margin = min(math.floor(tolerance), width)
    # Pixels of the region up to each column: a difference of two tells whether a run has any.
    padded = torch.nn.functional.pad(regions, (margin + 1, margin))
    upto = padded.cumsum(2, dtype=torch.int32)
    grown = torch.zeros_like(regions)
    for step in range(min(math.floor(tolerance), height - 1) + 1):
        half = min(math.floor(math.sqrt(tolerance**2 - step**2)), margin)
        before, last = margin - half, margin + half + 1
        hit = upto[:, :, last : last + width] > upto[:, :, before : before + width]
        grown[:, step:] |= hit[:, : height - step]
        grown[:, : height - step] |= hit[:, step:]
    return grown

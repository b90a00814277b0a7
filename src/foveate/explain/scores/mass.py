"""Share of a map's heat on the object: the sum over the region over the sum over the image.

One ratio under two names, told apart by what it is fed: the normalized map (energy pointing game,
Wang et al., Score-CAM, 2020) or the map as the method made it (relevance mass accuracy, Arras et
al., CLEVR-XAI, 2022). Min-max scaling subtracts the map's minimum, so the two differ.
"""

from __future__ import annotations

import math

from torch import Tensor

from foveate.explain.scores.arguments import check_maps, defined


def energy_pointing_game(maps: Tensor, regions: Tensor) -> Tensor:
    """Share of the normalized map's heat that lies on the region.

    Args:
        maps: (N, H, W) floating, normalized to [0, 1].
        regions: (N, H, W) bool, True on the object.

    Returns:
        (N,) float64 in [0, 1]; a flat map scores the region's share of the image. NaN if the
        region is empty, the map is zero everywhere or has a NaN.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ or a value leaves [0, 1].

    Example:
        >>> import torch
        >>> heat, region = torch.tensor([[[0.75, 0.25]]]), torch.tensor([[[True, False]]])
        >>> energy_pointing_game(heat, region).item()
        0.75
    """
    check_maps("energy_pointing_game", maps, regions, high=1.0)
    return _share(maps, regions)


def relevance_mass_accuracy(raw: Tensor, regions: Tensor) -> Tensor:
    """Share of the raw map's positive relevance that lies on the region.

    Args:
        raw: (N, H, W) floating, >= 0, not normalized: for Grad-CAM the map after its ReLU.
        regions: (N, H, W) bool, True on the object.

    Returns:
        As ``energy_pointing_game``.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ or a value is negative or infinite.

    Example:
        >>> import torch
        >>> heat, region = torch.tensor([[[9.0, 3.0]]]), torch.tensor([[[True, False]]])
        >>> relevance_mass_accuracy(heat, region).item()
        0.75
    """
    check_maps("relevance_mass_accuracy", raw, regions, high=math.inf)
    return _share(raw, regions)


def _share(maps: Tensor, regions: Tensor) -> Tensor:
    heat = maps.double()
    # A map that is zero everywhere gives 0 / 0, which is the NaN to return.
    return defined((heat * regions).sum((1, 2)) / heat.sum((1, 2)), regions)

"""All scores of the same maps and regions, each beside its chance level."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from foveate.core import expected
from foveate.explain.scores.arguments import area, by_pieces, check_maps
from foveate.explain.scores.mass import energy_pointing_game, relevance_mass_accuracy
from foveate.explain.scores.overlap import iou, iou_chance
from foveate.explain.scores.pointing import pointing_chance, pointing_game
from foveate.explain.scores.ranking import ordered
from foveate.explain.scores.settings import ScoreSettings
from foveate.explain.scores.sfd import sfd

_WHO = "score_maps"


def score_maps(
    maps: Tensor, raw: Tensor, regions: Tensor, settings: ScoreSettings | None = None
) -> dict[str, Tensor]:
    """Score maps by everything that needs no network.

    Args:
        maps: (N, H, W) floating, normalized to [0, 1], in the size of the regions.
        raw: (N, H, W) floating, >= 0: the same maps before normalizing, for the relevance mass.
        regions: (N, H, W) bool, True on the object.
        settings: The free choices; by default those of ``ScoreSettings()``.

    Returns:
        (N,) float64 each: for every name of ``MAP_SCORES`` the score and "NAME:chance", further
        "area" (|R| / |image|) and "sfd:outside" (salient outside R / |image|). NaN where it is
        undefined; a chance level and "sfd:outside" are where their score is.

    Raises:
        TypeError: If dtypes are wrong.
        ValueError: If shapes differ or a value is out of range.

    Example:
        >>> heat, region = torch.rand(2, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool)
        >>> score_maps(heat, heat, region)["sfd"].tolist()
        [1.0, 1.0]
    """
    chosen = ScoreSettings() if settings is None else settings
    check_maps(_WHO, maps, regions, high=1.0)
    if isinstance(raw, Tensor) and raw.shape != maps.shape:
        rule = f"raw maps in the shape of the maps {tuple(maps.shape)}"
        raise ValueError(expected(_WHO, rule, tuple(raw.shape)))
    check_maps(_WHO, raw, regions)

    def score(maps: Tensor, raw: Tensor, regions: Tensor) -> dict[str, Tensor]:
        return _score(maps, raw, regions, chosen)

    return by_pieces(score, maps, raw, regions)


def _score(maps: Tensor, raw: Tensor, regions: Tensor, chosen: ScoreSettings) -> dict[str, Tensor]:
    found = sfd(maps, regions, base=chosen.base, shift=chosen.shift, threshold=chosen.threshold)
    region = found.area
    sorted_maps = ordered(maps, regions)

    def read(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=maps.device)

    pairs = {
        "sfd": (found.score, found.chance),
        "pointing_game": (
            pointing_game(maps, regions, tolerance=chosen.tolerance),
            pointing_chance(regions, tolerance=chosen.tolerance),
        ),
        "energy_pointing_game": (energy_pointing_game(maps, regions), region),
        "relevance_mass_accuracy": (relevance_mass_accuracy(raw, regions), region),
        "relevance_rank_accuracy": (read([one.rank_accuracy() for one in sorted_maps]), region),
        "top_k_intersection": (read([one.top_k(chosen.k) for one in sorted_maps]), region),
        "iou": (
            iou(maps, regions, threshold=chosen.iou_threshold),
            iou_chance(maps, regions, threshold=chosen.iou_threshold),
        ),
        "localization_auc": (
            read([one.auc() for one in sorted_maps]),
            torch.full_like(region, 0.5),
        ),
    }
    scores: dict[str, Tensor] = {}
    for name, (value, chance) in pairs.items():
        scores[name] = value
        scores[f"{name}:chance"] = chance.masked_fill(value.isnan(), math.nan)
    scores["area"] = area(regions)
    scores["sfd:outside"] = found.outside
    return scores

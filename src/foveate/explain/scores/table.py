"""What each score is called, which way it points, and what chance gives: the table of scores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreSpec:
    """What has to be known to print a score.

    Attributes:
        name: Key of the score in results, the name of its function.
        title: Heading of its column.
        chance: What a map scores that knows nothing of the object, in words.
        source: Where the score comes from.
        higher_is_better: Which way it points.
        low: Smallest value it can take.
        high: Largest value it can take.
        needs_model: Whether the network has to run again; ``score_maps`` leaves these out.
    """

    name: str
    title: str
    chance: str
    source: str
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    needs_model: bool = False


_AREA = "the region's share of the image"
_ORDER = "the same pixels in a random order"
_PAPER = "arXiv 2311.12091, section 4 (formula read from its text)"
_CLEVR = "Arras et al. 2022 (CLEVR-XAI)"
_RISE = "Petsiuk et al. 2018 (RISE)"

_SPECS = (
    ScoreSpec("sfd", "sfd", "|R| / |B|: a flat map with the same salient set", _PAPER),
    ScoreSpec(
        "pointing_game",
        "pointing game",
        "the share of the image within the tolerance of the region",
        "Zhang et al. 2016",
    ),
    ScoreSpec(
        "energy_pointing_game", "energy pointing game", _AREA, "Wang et al. 2020 (Score-CAM)"
    ),
    ScoreSpec("relevance_mass_accuracy", "relevance mass", _AREA, _CLEVR),
    ScoreSpec("relevance_rank_accuracy", "relevance rank", _AREA, _CLEVR),
    ScoreSpec("top_k_intersection", "top-k intersection", _AREA, "Theiner et al. 2022"),
    ScoreSpec("iou", "IoU", "as many salient pixels in random places", "Jaccard 1912"),
    ScoreSpec("localization_auc", "ROC area", "one half", "Hanley and McNeil 1982"),
    ScoreSpec("deletion", "deletion", _ORDER, _RISE, higher_is_better=False, needs_model=True),
    ScoreSpec("insertion", "insertion", _ORDER, _RISE, needs_model=True),
)
SCORES: dict[str, ScoreSpec] = {spec.name: spec for spec in _SPECS}
MAP_SCORES = tuple(spec.name for spec in _SPECS if not spec.needs_model)

"""Scores of a map against the object: sfd and its sister scores, with their chance levels."""

from foveate.explain.scores.mass import energy_pointing_game, relevance_mass_accuracy
from foveate.explain.scores.overlap import iou
from foveate.explain.scores.pointing import pointing_game
from foveate.explain.scores.ranking import (
    localization_auc,
    relevance_rank_accuracy,
    top_k_intersection,
)
from foveate.explain.scores.settings import ScoreSettings
from foveate.explain.scores.sfd import SfdScore, sfd, sfd_grid
from foveate.explain.scores.together import score_maps

__all__ = [
    "ScoreSettings",
    "SfdScore",
    "energy_pointing_game",
    "iou",
    "localization_auc",
    "pointing_game",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "score_maps",
    "sfd",
    "sfd_grid",
    "top_k_intersection",
]

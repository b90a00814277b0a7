"""Scores of a map against the object: sfd and its sister scores, each beside its chance level.

Every score takes maps (N, H, W), floating, and regions (N, H, W), bool, and gives one float64 per
image; NaN means undefined (an empty region always is) and is to be counted, never averaged in.

How they differ, and what each can be fooled by:

- ``sfd`` weighs base ** map over the region R and what is salient outside it. Cold pixels weigh
  1 unless ``shift`` is 1, so a flat map scores |R| / |B| and a map with nothing salient outside
  scores 1, a constant one (zeros after normalizing) among them: leave constant maps out. B is the
  map's own: calling less of the outside salient raises the score, so read it beside
  "sfd:outside" or give all networks one ``salient`` set. Base, shift, threshold and layer are
  free choices; ``sfd_grid`` shows how far they move it. Its chance moves with the map as well: a
  perfect map and a constant one have both 1, so read the difference to chance beside the score.
- ``energy_pointing_game`` is sfd with the map as its weight and the whole image as B: no base, no
  threshold, and every warm pixel counts. ``relevance_mass_accuracy`` is the same ratio before
  normalizing: min-max scaling subtracts a floor of heat that the raw map still has.
- ``pointing_game`` knows the hottest pixel alone. It saturates first, and several or large objects
  inflate it; then prefer the energy form.
- ``relevance_rank_accuracy``, ``top_k_intersection`` and ``localization_auc`` know the order of
  pixels, so no rescaling moves them. A region smaller than k cannot reach a top-k of 1.
  ROC area counts every cold pixel of the background and looks good wherever objects are small.
- ``iou`` needs a threshold and punishes a map that is right but smaller than the object, which
  Grad-CAM of a coarse layer rarely fits.
- ``deletion_insertion`` asks the network, not the region: it says whether the map tells what the
  network uses, which may well not be the object. Filled images are unlike any it has seen, and
  scattered random holes hurt more than a compact one: chance is a reference, not a floor.

Chance grows with the object for all but the ROC area. Scores of different images, and shares of
different regions, compare only with their chance beside them.
"""

from foveate.explain.scores.mass import energy_pointing_game, relevance_mass_accuracy
from foveate.explain.scores.overlap import iou
from foveate.explain.scores.perturbation import Perturbation, deletion_insertion
from foveate.explain.scores.pointing import pointing_game
from foveate.explain.scores.ranking import (
    localization_auc,
    relevance_rank_accuracy,
    top_k_intersection,
)
from foveate.explain.scores.settings import ScoreSettings
from foveate.explain.scores.sfd import SfdScore, sfd, sfd_grid
from foveate.explain.scores.table import MAP_SCORES, SCORES, ScoreSpec
from foveate.explain.scores.together import score_maps

__all__ = [
    "MAP_SCORES",
    "SCORES",
    "Perturbation",
    "ScoreSettings",
    "ScoreSpec",
    "SfdScore",
    "deletion_insertion",
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

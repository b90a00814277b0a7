"""Sensible recipes of stereo networks where the user names nothing but the data."""

from __future__ import annotations

from typing import Any

from foveate.stereo.recipe import StereoRecipe, parse_stereo_recipe
from foveate.stereo.study import StereoStudy, parse_stereo_study
from foveate.training.defaults import lean

# From scratch and small, so that a comparison ends within an hour on a CPU.
_HEAD = {"channels": 24, "features": 24, "hidden": 24, "context": 24, "reach": 6, "iterations": 3}
_SCENES: dict[str, Any] = {
    "data": {
        "size": 64,
        "width": 96,
        "limit_train": 400,
        "limit_val": 100,
        "options": {"max_disparity": 24.0, "texture": 1.6, "pieces": 5},
    },
    "model": {
        "name": "resnet18",
        "width": 0.25,
        "preset": "small",
        "head": _HEAD,
    },
    "train": {"epochs": 4, "batch_size": 4, "lr": 3e-3, "weight_decay": 1e-4, "warmup_epochs": 0.5},
}
_OWN: dict[str, Any] = {
    "data": {"augment": "flip"},
    "model": {"name": "resnet18", "pretrained": True, "start": "identity"},
}


def default_stereo_recipe(source: str = "scenes") -> StereoRecipe:
    """Return the recipe that suits a source of pairs when the user says nothing else.

    Example:
        >>> default_stereo_recipe("data/mine").train.batch_size
        8
    """
    base = _SCENES if source == "scenes" else _OWN
    tree = {**base, "data": {**base["data"], "source": source}}
    return parse_stereo_recipe(tree, "default_stereo_recipe")


def default_stereo_study(recipe: StereoRecipe | None = None, **fields: Any) -> StereoStudy:
    """Return the study that ``foveate stereo compare`` runs when the user says nothing else.

    Its runs keep no checkpoints once they are finished and write no TensorBoard logs.

    Args:
        recipe: The recipe of all runs; by default that of generated scenes.
        **fields: Fields of ``StereoStudy``, for example ``attentions`` and ``seeds``.

    Raises:
        ValueError: For an unknown attention or a bad value.
    """
    base = lean(recipe or default_stereo_recipe())
    return parse_stereo_study({**fields, "recipe": base}, "default_stereo_study")

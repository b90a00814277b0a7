"""Sensible recipes of detectors where the user names nothing but the data."""

from __future__ import annotations

from typing import Any

from foveate.detection.recipe import DetectionRecipe, parse_detection_recipe
from foveate.detection.study import DetectionStudy, parse_detection_study
from foveate.training.defaults import lean

# From scratch and small, so that a comparison ends within minutes on two CPU cores.
_SCENES: dict[str, Any] = {
    "data": {"size": 64, "max_size": 64, "limit_train": 800, "limit_val": 200},
    "model": {"name": "resnet18", "width": 0.25, "preset": "small", "batch_norm": "train"},
    "train": {
        "epochs": 8,
        "batch_size": 16,
        "optimizer": "adamw",
        "lr": 2e-3,
        "schedule": "cosine",
        "milestones": [],
        "warmup_epochs": 1,
        "clip_norm": 10.0,
    },
}
_OWN: dict[str, Any] = {
    "model": {"name": "resnet50", "pretrained": True, "start": "identity"},
    "train": {"epochs": 12, "warmup_steps": 500, "warmup_from": 0.001},
}


def default_detection_recipe(source: str = "scenes") -> DetectionRecipe:
    """Return the recipe that suits a source of images when the user says nothing else.

    Example:
        >>> default_detection_recipe("data/mine").train.batch_size
        2
    """
    base = _SCENES if source == "scenes" else _OWN
    tree = {**base, "data": {**base.get("data", {}), "source": source}}
    return parse_detection_recipe(tree, "default_detection_recipe")


def default_detection_study(recipe: DetectionRecipe | None = None, **fields: Any) -> DetectionStudy:
    """Return the study that ``foveate detect compare`` runs when the user says nothing else.

    Its runs keep no checkpoints once they are finished and write no TensorBoard logs.

    Args:
        recipe: The recipe of all runs; by default that of generated scenes.
        **fields: Fields of ``DetectionStudy``, for example ``attentions`` and ``seeds``.

    Raises:
        ValueError: For an unknown attention or a bad value.
    """
    base = lean(recipe or default_detection_recipe())
    return parse_detection_study({**fields, "recipe": base}, "default_detection_study")

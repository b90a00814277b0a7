"""Sensible recipes of segmenters where the user names nothing but the data."""

from __future__ import annotations

from typing import Any

from foveate.segmentation.recipe import SegmentationRecipe, parse_segmentation_recipe
from foveate.segmentation.study import SegmentationStudy, parse_segmentation_study
from foveate.training.defaults import lean

# From scratch and small, so that a comparison ends within minutes on two CPU cores.
_SCENES: dict[str, Any] = {
    "data": {"size": 64, "limit_train": 512, "limit_val": 128, "augment": "flip"},
    "model": {
        "name": "resnet18",
        "width": 0.25,
        "head": "fpn",
        "head_options": {"channels": 32, "branch": 32},
    },
    "train": {
        "epochs": 8,
        "batch_size": 16,
        "optimizer": "adamw",
        "lr": 3e-3,
        "warmup_epochs": 1,
        "channels_last": True,
    },
}
_OWN: dict[str, Any] = {
    "model": {"name": "resnet50", "pretrained": True, "start": "identity"},
    "train": {"epochs": 40, "batch_size": 8, "lr": 0.01, "lr_batch": 16, "warmup_epochs": 1},
}


def default_segmentation_recipe(source: str = "scenes") -> SegmentationRecipe:
    """Return the recipe that suits a source of images when the user says nothing else.

    Example:
        >>> default_segmentation_recipe("data/mine").model.head
        'deeplabv3'
    """
    base = _SCENES if source == "scenes" else _OWN
    tree = {**base, "data": {**base.get("data", {}), "source": source}}
    return parse_segmentation_recipe(tree, "default_segmentation_recipe")


def default_segmentation_study(
    recipe: SegmentationRecipe | None = None, **fields: Any
) -> SegmentationStudy:
    """Return the study that ``foveate segment compare`` runs when the user says nothing else.

    Args:
        recipe: The recipe of all runs; by default that of generated scenes.
        **fields: Fields of ``SegmentationStudy``, for example ``attentions`` and ``seeds``.

    Raises:
        ValueError: For an unknown attention or a bad value.
    """
    base = lean(recipe or default_segmentation_recipe())
    return parse_segmentation_study({**fields, "recipe": base}, "default_segmentation_study")

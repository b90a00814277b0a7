"""Sensible recipes where the user names nothing but the data."""

from __future__ import annotations

from typing import Any

from foveate.training.recipe import Recipe, parse_recipe
from foveate.training.study import Study, parse_study

# Tuned so that twelve runs end within minutes on two CPU cores, accuracy far above chance: a
# quarter of the width takes a third of the time, and channels-last a quarter less again. The rate
# and the warm-up were chosen on the plain network alone, for a small spread between seeds.
_SCENES: dict[str, Any] = {
    "data": {"size": 64, "limit_train": 768, "limit_val": 256, "augment": "none"},
    "model": {"name": "resnet18", "width": 0.25},
    "train": {
        "epochs": 8,
        "batch_size": 32,
        "optimizer": "adamw",
        "lr": 1e-2,
        "warmup_epochs": 2,
        "channels_last": True,
    },
}
_SMALL_IMAGES: dict[str, Any] = {
    "data": {"augment": "crop_flip"},
    "model": {"name": "resnet18", "stem": "small"},
    "train": {"epochs": 20, "batch_size": 128, "optimizer": "sgd", "weight_decay": 5e-4},
}
_FOLDER: dict[str, Any] = {
    "data": {"size": 128, "augment": "imagenet"},
    "model": {"name": "resnet18"},
    "train": {"epochs": 30, "batch_size": 64, "optimizer": "sgd", "warmup_epochs": 1},
}


def default_recipe(source: str = "scenes", model: str | None = None) -> Recipe:
    """Return the recipe that suits a data source when the user says nothing else.

    Args:
        source: As in ``foveate.data.open_dataset``.
        model: Another network than ``resnet18``. For the generated scenes the default network has
            a quarter of its width; another one keeps its own, since few families can be scaled.

    Example:
        >>> default_recipe("cifar100").model.stem
        'small'
    """
    kind = source.split(":")[0]
    base: dict[str, Any]
    if kind == "scenes":
        base = _SCENES
    elif kind in ("fashion-mnist", "cifar100"):
        base = {**_SMALL_IMAGES, "data": {**_SMALL_IMAGES["data"], "size": _side(kind)}}
    else:
        base = _FOLDER
    network = base["model"]
    if model is not None and model != network["name"]:
        network = {**network, "name": model, "width": 1.0}
    tree = {**base, "data": {**base["data"], "source": source}, "model": network}
    return parse_recipe(tree, "default_recipe")


def _side(kind: str) -> int:
    return 28 if kind == "fashion-mnist" else 32


def default_study(source: str = "scenes", recipe: Recipe | None = None, **fields: Any) -> Study:
    """Return the study that ``foveate compare`` runs when the user says nothing else.

    Its runs keep no checkpoints once they are finished and write no TensorBoard logs, so that many
    of them fit on a disk; ``last.ckpt`` is written at most once a minute.

    Args:
        source: The data.
        recipe: The recipe of all runs; by default ``default_recipe(source)``.
        **fields: Fields of ``Study``, for example ``attentions`` and ``seeds``.

    Raises:
        ValueError: For an unknown attention or a bad value.
    """
    base = lean(recipe or default_recipe(source))
    return parse_study({**fields, "recipe": base}, "default_study")


def lean(recipe: Recipe) -> dict[str, Any]:
    """The recipe of a study's runs: no checkpoint once they are finished, no TensorBoard logs."""
    tree = recipe.model_dump()
    tree["train"] |= {"keep_checkpoints": False, "tensorboard": False, "checkpoint_minutes": 1.0}
    return tree

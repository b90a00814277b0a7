"""The recipe of a stereo network: everything that decides its training, as one TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from foveate.training.recipe import (
    DataSection,
    ModelSection,
    Recipe,
    TrainSection,
    load_recipe,
    parse_recipe,
)
from foveate.training.toml import Options

TASK = "stereo"


class StereoDataSection(DataSection):
    """Where the pairs come from, and what part of them a step of training sees.

    ``size`` and ``width`` are rows and columns in pixels: of generated pairs, and of the crops that
    training takes of other ones; evaluation takes pairs whole. ``augment``: ``"none"`` or
    ``"flip"``, which turns every other pair upside down: left and right stay what they are.
    """

    size: int = Field(default=320, ge=24)
    width: int = Field(default=736, ge=24)
    augment: Literal["none", "flip"] = "none"


class StereoSection(ModelSection):
    """The stereo network, its backbone with the attention in it, and how both start.

    ``preset`` and ``head`` are those of :func:`foveate.stereo.create_stereo`; the other keys are of
    the backbone. ``weights`` names a finished run of classification (or a folder of
    ``foveate.save``), whose backbone, gates included where both have them, is taken.
    """

    preset: Literal["base", "small"] = "base"
    head: Options = Field(default_factory=dict)


class StereoTrainSection(TrainSection):
    """How the stereo network is trained.

    ``step_weight`` is the gamma of the loss: how much less each step of the recurrence counts than
    the next. The other defaults are those of RAFT-Stereo, arXiv:2109.07547, as far as one device
    can have them.
    """

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=8, ge=2)
    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr: float | None = Field(default=2e-4, gt=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    clip_norm: float | None = Field(default=1.0, gt=0)
    step_weight: float = Field(default=0.9, gt=0, le=1)
    monitor: Literal["val_epe"] = "val_epe"  # type: ignore[assignment]

    @model_validator(mode="after")
    def _is_for_disparities(self) -> StereoTrainSection:
        of_classes = ("label_smoothing", "mixup", "cutmix", "compile")
        given = [name for name in of_classes if getattr(self, name)]
        if given:
            raise ValueError(f"a stereo network is trained without {', '.join(given)}")
        return self


class StereoRecipe(Recipe):
    """Everything that decides a run of a stereo network.

    Example:
        >>> StereoRecipe.model_validate({"train": {"epochs": 24}}).train.monitor
        'val_epe'
    """

    TASK: ClassVar[str] = TASK

    task: Literal["stereo"] = "stereo"
    data: StereoDataSection = StereoDataSection()
    model: StereoSection = StereoSection()
    train: StereoTrainSection = StereoTrainSection()


def load_stereo_recipe(path: str | Path) -> StereoRecipe:
    """Read and validate the recipe file of a stereo network, see ``foveate.training.load_recipe``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no recipe of this task, or holds unknown keys or bad values.
    """
    return load_recipe(path, StereoRecipe)


def parse_stereo_recipe(tree: dict[str, Any], who: str = "recipe") -> StereoRecipe:
    """Validate a nested dictionary as the recipe of a stereo network.

    Raises:
        ValueError: Naming every unknown key and bad value.
    """
    return parse_recipe({"task": TASK, **tree}, who, StereoRecipe)

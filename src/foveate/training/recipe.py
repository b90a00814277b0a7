"""The recipe: everything that decides a training run, as one validated TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from foveate.core import expected
from foveate.training.toml import describe_errors, read_toml, write_toml

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values are checked."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class DataSection(Section):
    """Where the images come from and how they are shown to the network.

    ``augment``: ``"none"``, ``"flip"``, ``"crop_flip"`` (random crop after padding 4 pixels,
    and flip), ``"imagenet"`` (random resized crop and flip) or ``"randaugment"`` (the same, and
    RandAugment).
    """

    source: str = "scenes"
    size: int = Field(default=64, ge=8)
    seed: int = Field(default=0, ge=0)
    limit_train: int | None = Field(default=None, ge=2)
    limit_val: int | None = Field(default=None, ge=1)
    workers: int = Field(default=0, ge=0)
    augment: Literal["none", "flip", "crop_flip", "imagenet", "randaugment"] = "flip"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _deviations_are_positive(self) -> DataSection:
        if min(self.std) <= 0:
            raise ValueError("std must be above 0 in every channel")
        return self


class ModelSection(Section):
    """The network, the attention put into it, and how that attention starts.

    ``network`` and ``host`` are those of :func:`foveate.create_model`.

    ``opening`` counts only with ``start = "identity"``: ``"learn"`` trains the openness,
    ``"linear"`` raises it from 0 to 1 over the first ``opening_epochs``.
    """

    name: str = "resnet18"
    attention: str = "none"
    where: str | list[str] | None = None
    start: Literal["paper", "identity"] = "paper"
    position: Literal["after", "before"] = "after"
    network: str | None = None
    host: str | None = None
    opening: Literal["learn", "linear"] = "learn"
    opening_epochs: float = Field(default=1.0, gt=0)
    stem: Literal["imagenet", "small"] = "imagenet"
    width: float = Field(default=1.0, gt=0)
    pretrained: bool = False
    options: dict[str, Any] = Field(default_factory=dict)


class TrainSection(Section):
    """How the network is trained.

    ``lr`` left out is 0.1 x batch size / 256 for SGD and 0.001 for AdamW. A run that is no
    longer than its warm-up never reaches that rate. ``keep`` says which
    weights the run folder ends with: those of the last epoch, or of the best one by ``monitor``
    (which flatters, since the validation images then choose). ``checkpoint_minutes`` is the
    shortest time between two writes of ``last.ckpt``; 0 writes it after every epoch.
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float | None = Field(default=None, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    decay_norms: bool = True
    schedule: Literal["step", "cosine", "plateau", "constant"] = "cosine"
    milestones: list[int] = Field(default_factory=list)
    gamma: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=5, ge=0)
    warmup_epochs: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0)
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    accelerator: str = "auto"
    devices: int = Field(default=1, ge=1)
    channels_last: bool = False
    compile: bool = False
    monitor: Literal["val_top1", "val_loss"] = "val_top1"
    keep: Literal["last", "best"] = "last"
    checkpoint_minutes: float = Field(default=0.0, ge=0)
    keep_checkpoints: bool = True
    tensorboard: bool = True

    @property
    def base_lr(self) -> float:
        """The peak learning rate, with the optimizer's default where none is given."""
        if self.lr is not None:
            return self.lr
        return 1e-3 if self.optimizer == "adamw" else 0.1 * self.batch_size / 256

    @model_validator(mode="after")
    def _schedule_is_complete(self) -> TrainSection:
        if self.schedule == "step" and not self.milestones:
            raise ValueError('schedule = "step" needs milestones, for example [30, 60]')
        if self.milestones != sorted(set(self.milestones)) or min(self.milestones, default=1) < 1:
            raise ValueError("milestones must be rising epoch numbers from 1")
        return self


class Recipe(Section):
    """Everything that decides a run; the same recipe on one machine gives the same weights.

    ``seed`` drives the initial weights, the order of the images and their augmentation;
    ``data.seed`` drives which images there are.

    Example:
        >>> Recipe.model_validate({"train": {"epochs": 3}}).train.epochs
        3
    """

    name: str = ""
    seed: int = Field(default=0, ge=0)
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()

    def save(self, path: str | Path) -> None:
        """Write the recipe as TOML, in one piece or not at all."""
        write_toml(Path(path), self.model_dump(mode="json", exclude_none=True))

    def changed(self, **values: Any) -> Recipe:
        """Return a validated copy in which dotted keys are replaced.

        Example:
            >>> Recipe().changed(seed=3, **{"train.epochs": 2}).train.epochs
            2
        """
        tree = self.model_dump()
        for key, value in values.items():
            *sections, last = key.split(".")
            node: Any = tree
            for section in sections:
                node = node.setdefault(section, {}) if isinstance(node, dict) else None
            if not isinstance(node, dict):
                rule = "a key such as train.epochs"
                raise ValueError(expected("Recipe.changed", rule, key))
            node[last] = value
        return parse_recipe(tree, "Recipe.changed")


def parse_recipe(tree: dict[str, Any], who: str = "Recipe") -> Recipe:
    """Validate a nested dictionary as a recipe.

    Raises:
        ValueError: Naming each unknown key with its section and the near ones, and each bad value.
    """
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise ValueError(describe_errors(error, Recipe, who, "a valid recipe")) from None


def load_recipe(path: str | Path) -> Recipe:
    """Read and validate a recipe file.

    Args:
        path: A TOML file with the tables ``[data]``, ``[model]`` and ``[train]``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no TOML, or holds unknown keys or bad values; all of them are named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(expected("load_recipe", "the path of a TOML file", str(path)))
    return parse_recipe(read_toml(path), str(path))


def differences(old: BaseModel, new: BaseModel, prefix: str = "") -> list[str]:
    """List what differs between two models of one class, as ``key: old -> new``."""
    lines: list[str] = []
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            lines += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            lines.append(f"{prefix}{name}: {before!r} -> {after!r}")
    return lines

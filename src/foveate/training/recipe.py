"""The recipe: everything that decides a training run, as one validated TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from foveate.core import expected
from foveate.training.toml import Options, describe_errors, read_toml, write_toml

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


COMMANDS = {
    "classification": "foveate train, evaluate, compare and explain",
    "detection": "foveate detect train, evaluate, predict and compare",
    "segmentation": "foveate segment train, evaluate, predict and compare",
    "stereo": "foveate stereo train, evaluate, predict and compare",
}
"""What works on the recipes, runs and studies of each task."""

RecipeOf = TypeVar("RecipeOf", bound="Recipe")


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
    options: Options = Field(default_factory=dict)

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

    ``weights`` names a finished run, or a folder of :func:`foveate.save`: the network starts from
    what was learned there, and what it has beyond that (the attention, a classifier of another
    size) starts fresh.
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
    weights: str | None = None
    options: Options = Field(default_factory=dict)

    @model_validator(mode="after")
    def _starts_once(self) -> ModelSection:
        if self.pretrained and self.weights is not None:
            raise ValueError("pretrained = true and weights exclude each other")
        return self


class TrainSection(Section):
    """How the network is trained.

    The step: ``batch_size`` images in each of ``devices`` x ``nodes`` processes (a launcher such as
    ``torchrun`` overrules these two), ``accumulate`` batches to an optimizer step; each counts for
    1 / ``accumulate``, also in the step of those left over at the end of an epoch. ``lr`` left out
    is 0.1 x (``lr_batch``, else ``batch_size``) / 256 for SGD and 0.001 for AdamW. With
    ``lr_batch`` the rate is multiplied by (images of a step, all processes together) /
    ``lr_batch``: the linear scaling rule of Goyal et al., arXiv:1706.02677, under which one recipe
    serves any number of devices.

    The course: warm-up (``warmup_epochs``, or ``warmup_steps`` of the optimizer), which rises in a
    line from ``warmup_from`` of the rate, then ``schedule``; a run that is no longer than its
    warm-up never reaches its rate. ``"exponential"`` multiplies by ``gamma`` after every epoch,
    ``"step"`` at every one of the ``milestones``. In the first ``gates_first`` epochs, at a
    constant rate, only the inserted attention and a fresh classifier learn; then the optimizer
    starts anew, everything learns, and the schedule runs over the epochs that are left. That is for
    a base that starts from trained weights: a random one is frozen all the same. ``early_stop``
    ends a run after that many epochs without a better ``monitor``, ``gates_first`` not counted.

    The loss: ``mixup`` and ``cutmix`` are the parameters of their Beta distributions, 0 for none;
    with both, one of the two is drawn for each batch. ``ema_decay``: evaluate and keep the
    exponential moving average of the weights.

    What is kept: ``keep`` says which weights the run folder ends with, those of the last epoch, or
    of the best one by ``monitor`` (which flatters, since the validation images then choose).
    ``last.ckpt`` is written after every epoch; with ``checkpoint_minutes``, only when that much
    time has passed, and then within an epoch too; with ``checkpoint_steps``, also after that many
    optimizer steps. ``validate_start`` measures the network before the first step.
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=2)
    accumulate: int = Field(default=1, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float | None = Field(default=None, gt=0)
    lr_batch: int | None = Field(default=None, ge=1)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    decay_norms: bool = True
    schedule: Literal["step", "exponential", "cosine", "plateau", "constant"] = "cosine"
    milestones: list[int] = Field(default_factory=list)
    gamma: float = Field(default=0.1, gt=0, lt=1)
    patience: int = Field(default=5, ge=0)
    warmup_epochs: float = Field(default=0.0, ge=0)
    warmup_steps: int | None = Field(default=None, ge=1)
    warmup_from: float = Field(default=0.0, ge=0, le=1)
    gates_first: int = Field(default=0, ge=0)
    early_stop: int | None = Field(default=None, ge=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    clip_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["32", "bf16-mixed", "16-mixed"] = "32"
    accelerator: str = "auto"
    devices: int = Field(default=1, ge=1)
    nodes: int = Field(default=1, ge=1)
    sync_bn: bool = False
    channels_last: bool = False
    compile: bool = False
    monitor: Literal["val_top1", "val_loss"] = "val_top1"
    keep: Literal["last", "best"] = "last"
    validate_start: bool = False
    checkpoint_minutes: float = Field(default=0.0, ge=0)
    checkpoint_steps: int | None = Field(default=None, ge=1)
    keep_checkpoints: bool = True
    tensorboard: bool = True

    @property
    def lead_in(self) -> int:
        """Epochs before those that the schedule counts."""
        return self.gates_first

    @property
    def base_lr(self) -> float:
        """The peak learning rate, with the optimizer's default where none is given."""
        if self.lr is not None:
            return self.lr
        return 1e-3 if self.optimizer == "adamw" else 0.1 * (self.lr_batch or self.batch_size) / 256

    def scaled_lr(self, processes: int) -> float:
        """The peak learning rate for this number of processes, see ``lr_batch``.

        Example:
            >>> TrainSection(lr=0.1, batch_size=256, lr_batch=256).scaled_lr(processes=8)
            0.8
        """
        if self.lr_batch is None:
            return self.base_lr
        return self.base_lr * processes * self.batch_size * self.accumulate / self.lr_batch

    @model_validator(mode="after")
    def _schedule_is_complete(self) -> TrainSection:
        if self.schedule == "step" and not self.milestones:
            raise ValueError('schedule = "step" needs milestones, for example [30, 60]')
        if self.milestones != sorted(set(self.milestones)) or min(self.milestones, default=1) < 1:
            raise ValueError("milestones must be rising epoch numbers from 1")
        if self.lead_in >= self.epochs:
            raise ValueError(
                f"the {self.lead_in} epochs before the schedule (gates_first, warm_start) must"
                f" leave some of the {self.epochs} epochs"
            )
        return self


class Recipe(Section):
    """Everything that decides a run; the same recipe on one machine gives the same weights.

    ``seed`` drives the initial weights, the order of the images and their augmentation;
    ``data.seed`` drives which images there are.

    Example:
        >>> Recipe.model_validate({"train": {"epochs": 3}}).train.epochs
        3
    """

    TASK: ClassVar[str] = "classification"

    name: str = ""
    seed: int = Field(default=0, ge=0)
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()

    @model_validator(mode="after")
    def _has_what_its_phases_need(self) -> Recipe:
        if self.train.gates_first and self.model.attention == "none":
            raise ValueError("train.gates_first needs a model.attention that could learn first")
        return self

    def save(self, path: str | Path) -> None:
        """Write the recipe as TOML, in one piece or not at all."""
        write_toml(Path(path), self.model_dump(mode="json", exclude_none=True))

    def changed(self: RecipeOf, **values: Any) -> RecipeOf:
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
        return parse_recipe(tree, "Recipe.changed", type(self))


def parse_recipe(
    tree: dict[str, Any],
    who: str = "Recipe",
    kind: type[RecipeOf] = Recipe,  # type: ignore[assignment]
) -> RecipeOf:
    """Validate a nested dictionary as a recipe of a task.

    Raises:
        ValueError: Naming each unknown key with its section and the near ones, and each bad value;
            or the task of the recipe, if it is another.
    """
    check_task(tree, who, kind.TASK)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ValueError(describe_errors(error, kind, who, "a valid recipe")) from None


def check_task(tree: dict[str, Any], who: str, task: str) -> None:
    """Check that a recipe or a study is of a task; those of classification need not say so.

    Raises:
        ValueError: If it is of another; the text names the commands that take it.
    """
    found = tree.get("task", Recipe.TASK)
    if found == task:
        return
    if not isinstance(found, str) or found not in COMMANDS:
        raise ValueError(expected(f"{who}: task", f"one of {list(COMMANDS)}", found))
    remedy = f"its commands are {COMMANDS[found]}"
    raise ValueError(expected(who, f"the task {task!r}", found, remedy))


def load_recipe(
    path: str | Path,
    kind: type[RecipeOf] = Recipe,  # type: ignore[assignment]
) -> RecipeOf:
    """Read and validate a recipe file.

    Args:
        kind: The recipes of the task.
        path: A TOML file with the tables ``[data]``, ``[model]`` and ``[train]``. A file that
            begins with ``extends = "other.toml"`` (a path seen from its own folder) takes from
            there every key that it does not give itself.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no TOML, extends itself, or holds unknown keys or bad values; all of
            them are named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(expected("load_recipe", "the path of a TOML file", str(path)))
    return parse_recipe(_read_tree(path, ()), str(path), kind)


def _read_tree(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """Read a recipe and what it extends, as one nested dictionary."""
    seen = (*seen, path.resolve())
    tree = read_toml(path)
    base = tree.pop("extends", None)
    if base is None:
        return tree
    found = path.parent / base if isinstance(base, str) else path.parent
    if not found.is_file():
        raise ValueError(expected(f"{path}: extends", "the path of a recipe beside it", base))
    if found.resolve() in seen:
        raise ValueError(expected(f"{path}: extends", "another recipe than itself", base))
    return _merged(_read_tree(found, seen), tree)


def _merged(base: dict[str, Any], tree: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """Lay ``tree`` over ``base``: section by section, and no deeper (options replace options)."""
    merged = dict(base)
    for key, value in tree.items():
        below = merged.get(key)
        deeper = depth == 0 and isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merged(below, value, 1) if deeper and below is not None else value
    return merged


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

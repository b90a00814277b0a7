"""The study: the same recipe and images for several attentions and seeds, and its folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from foveate.attention import attention_spec, check_options, list_attentions
from foveate.core import Words, expected
from foveate.core.reading import read_object
from foveate.training.recipe import Recipe, Section, check_task, differences
from foveate.training.run_folder import RunFolder
from foveate.training.toml import Options, describe_errors, read_toml, write_toml

StudyOf = TypeVar("StudyOf", bound="Study")

PLAIN = "none"
CONTROL = "wider"
ALL = "all"
# A seed is part of a folder's name, and what the generators of NumPy take.
Seed = Annotated[int, Field(lt=2**32)]
MOST_SEEDS = 1000
# A label names folders and rows, and "-seed3" at its end would be read as a seed.
_LABEL = re.compile(r"(?!.*-seed\d+$)[A-Za-z0-9][A-Za-z0-9._-]*")


# What a recipe for a gated network says that the plain one has no use for.
_WITHOUT_ATTENTION: dict[str, Any] = {
    "model.attention": PLAIN,
    "model.options": {},
    "model.where": None,
    "model.start": "paper",
    "model.position": "after",
    "model.network": None,
    "model.host": None,
    "train.gates_first": 0,
}


# What a run does with the images that all share.
_FREE_DATA = ("data.augment", "data.mean", "data.std")


class LatencySection(Section):
    """How latency is measured: batch size, most rounds, untimed rounds, and a bound in seconds.

    The batch has two images at least, since batch norm cannot train on one.
    """

    batch: int = Field(default=8, ge=2)
    repeats: int = Field(default=40, ge=5)
    warmup: int = Field(default=2, ge=1)
    seconds: float = Field(default=6.0, gt=0)


class Variant(Section):
    """What a label stands for: an attention, its options, where it sits, and how it is trained.

    ``where`` left out is the recipe's, see ``foveate.insert_``. ``changes`` are further keys of the
    recipe by dotted names, for example ``{"model.start": "identity", "train.gates_first": 1}``.
    With them ``attention`` may be ``"none"``: the plain network under other settings.
    """

    attention: str
    options: Options = Field(default_factory=dict)
    where: str | list[str] | None = None
    changes: Options = Field(default_factory=dict)


class Study(Section):
    """Which networks are compared, over which seeds, by which recipe.

    Args:
        name: A title.
        attentions: Registry names, ``"none"`` (the plain network) among them; ``"all"`` stands for
            the plain network and everything that the registry can make.
        seeds: Seeds of the runs; a number n stands for 0 to n - 1. Seed k drives initial weights,
            order and augmentation alike for every attention, so results are paired by seed.
        control: Whether to add the label ``"wider"``: the plain network, widened until it has as
            many parameters as the largest attention variant.
        options: Options of an attention by its name, for example ``{"das": {"alpha": 0.1}}``.
        variants: More rows by a label of your own, so that one attention can be compared under
            several options: ``{"das-thin": {"attention": "das", "options": {"alpha": 0.02}}}``.
        recipe: What all runs share; its seed and attention are replaced. ``{seed}`` in its
            ``model.weights`` stands for the seed of the run, so that each starts from its own.
        latency: How latency is measured.

    Example:
        >>> Study(attentions=["none", "se"], seeds=2, control=False).labels
        ['none', 'se']
    """

    TASK: ClassVar[str] = Recipe.TASK
    NO_CONTROL: ClassVar[str] = ""
    """Why studies of this task have no wider control; "" if they have one."""

    name: str = ""
    attentions: list[str] = Field(default_factory=lambda: [PLAIN, "das", "se"], min_length=1)
    seeds: list[Seed] = Field(
        default_factory=lambda: [0, 1, 2], min_length=1, max_length=MOST_SEEDS
    )
    control: bool = True
    options: dict[str, Options] = Field(default_factory=dict)
    variants: dict[str, Variant] = Field(default_factory=dict)
    recipe: Recipe = Recipe()
    latency: LatencySection = LatencySection()

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_of_seeds(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 1:
                raise ValueError("a study needs at least one seed")
            if value > MOST_SEEDS:
                raise ValueError(f"a study has at most {MOST_SEEDS} seeds")
            return list(range(value))
        return value

    @field_validator("attentions", mode="after")
    @classmethod
    def _all_of_them(cls, value: list[str]) -> list[str]:
        if ALL not in value:
            return value
        named = [name for name in value if name != ALL]
        return list(dict.fromkeys([PLAIN, *list_attentions(), *named]))

    @model_validator(mode="after")
    def _names_are_sound(self) -> Study:
        problems: list[str] = []
        if PLAIN not in self.attentions:
            problems.append('attentions must include "none", the plain network to compare with')
        for what, values in (("attentions", self.attentions), ("seeds", self.seeds)):
            if len(set(values)) < len(values):
                problems.append(f"{what} must not repeat: {values}")
        if self.control and self.NO_CONTROL:
            problems.append(self.NO_CONTROL)
        if min(self.seeds) < 0:
            problems.append("seeds must be 0 or more")
        for label, variant in self.gated.items():
            try:
                if variant.attention != PLAIN or not variant.changes:
                    check_options(attention_spec(variant.attention), variant.options)
                if variant.changes:
                    problems += _changes_problems(label, variant, self.recipe_for(label, 0))
            except ValueError as error:
                problems.append(str(error))
        problems += [_label_problem(label, self) for label in self.variants]
        for name in self.options:
            if name not in self.attentions or name == PLAIN:
                problems.append(f"options are given for {name!r}, which is not compared")
        if self.recipe.train.devices * self.recipe.train.nodes > 1:
            problems.append("a study runs on one device; set train.devices = 1 and train.nodes = 1")
        problems = [problem for problem in problems if problem]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def gated(self) -> dict[str, Variant]:
        """What every label but the two plain ones stands for: attentions, then variants."""
        named = {
            name: Variant(attention=name, options=self.options.get(name, {}))
            for name in self.attentions
            if name != PLAIN
        }
        return named | self.variants

    @property
    def labels(self) -> list[str]:
        """The labels of the runs: the attentions, the variants, then the control."""
        return [*self.attentions, *self.variants, *([CONTROL] if self.control else [])]

    def recipe_for(self, label: str, seed: int, width: float | None = None) -> Recipe:
        """Return the recipe of one run.

        Args:
            label: An attention or a variant of the study, or ``"wider"``.
            seed: Its seed.
            width: The width of the control.

        Raises:
            ValueError: If the study has no such label.
        """
        changes: dict[str, Any] = {"name": f"{label}-seed{seed}", "seed": seed}
        variant = self.gated.get(label, Variant(attention=PLAIN))
        if label not in (PLAIN, CONTROL, *self.gated):
            raise ValueError(expected("Study", f"one of the labels {self.labels}", label))
        if variant.attention == PLAIN:
            changes |= _WITHOUT_ATTENTION
        else:
            changes |= {"model.attention": variant.attention, "model.options": variant.options}
            if variant.where is not None:
                changes["model.where"] = variant.where
        changes |= variant.changes
        weights = changes.get("model.weights", self.recipe.model.weights)
        if isinstance(weights, str):
            changes["model.weights"] = weights.replace("{seed}", str(seed))
        if label == CONTROL and width is not None:
            changes["model.width"] = width
        return self.recipe.changed(**changes)

    def save(self, path: str | Path) -> None:
        """Write the study as TOML, in one piece or not at all."""
        write_toml(Path(path), self.model_dump(mode="json", exclude_none=True))


def _changes_problems(label: str, variant: Variant, recipe: Recipe) -> list[str]:
    """Say which changes of a variant a study cannot keep: its images and its one device."""
    problems = [
        f"variant {label!r} cannot change {key}: all runs of a study share their images"
        for key in variant.changes
        if key.startswith("data.") and key not in _FREE_DATA
    ]
    if recipe.train.devices * recipe.train.nodes > 1:
        problems.append(f"variant {label!r}: a study runs on one device")
    return problems


def _label_problem(label: str, study: Study) -> str:
    """Say why a variant cannot have this label; "" if it can."""
    if not _LABEL.fullmatch(label):
        return f"a variant's label is made of letters, digits, '.', '_', '-': {label!r}"
    if label in (PLAIN, CONTROL, *study.attentions):
        return f"the label {label!r} of a variant is taken"
    if label in list_attentions() and study.variants[label].attention != label:
        return f"the label {label!r} of a variant is the name of another attention"
    return ""


def parse_study(
    tree: dict[str, Any],
    who: str = "Study",
    kind: type[StudyOf] = Study,  # type: ignore[assignment]
) -> StudyOf:
    """Validate a nested dictionary as a study of a task.

    Raises:
        ValueError: Naming every unknown key and bad value; or the task, if it is another.
    """
    check_task(tree, who, kind.TASK)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ValueError(describe_errors(error, kind, who, "a valid study")) from None


class StudyFolder:
    """A study on disk: ``study.toml``, ``runs/<label>-seed<k>/`` and ``costs.json``.

    Args:
        path: The folder; it need not exist yet.
    """

    kind: ClassVar[type[Study]] = Study
    """The studies of its task."""
    runs_kind: ClassVar[type[RunFolder]] = RunFolder
    """The runs of its task."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def study_path(self) -> Path:
        """Where the study stands."""
        return self.path / "study.toml"

    @property
    def costs_path(self) -> Path:
        """Where parameters, MACs and latencies stand."""
        return self.path / "costs.json"

    @property
    def study(self) -> Study:
        """The study.

        Raises:
            FileNotFoundError: If this is no study folder.
        """
        if not self.study_path.is_file():
            raise FileNotFoundError(
                expected("StudyFolder", "a folder that holds study.toml", str(self.path))
            )
        return parse_study(read_toml(self.study_path), str(self.study_path), self.kind)

    @property
    def labels(self) -> list[str]:
        """The labels of the runs in order; without the control where none could be made."""
        labels = self.study.labels
        if CONTROL in labels and self.costs and CONTROL not in self.costs:
            labels.remove(CONTROL)
        return labels

    @property
    def costs(self) -> dict[str, Any]:
        """Costs by label, and ``"_conditions"``; empty while they are not measured."""
        if not self.costs_path.is_file():
            return {}
        return read_object(self.costs_path, "costs by label")

    def run(self, label: str, seed: int) -> RunFolder:
        """Return the folder of one run."""
        return self.runs_kind(self.path / "runs" / f"{label}-seed{seed}")

    def runs(self, label: str) -> list[RunFolder]:
        """Return the folders of a label's runs, in the order of the seeds."""
        return [self.run(label, seed) for seed in self.study.seeds]

    @property
    def is_finished(self) -> bool:
        """Whether every run is finished and the costs are measured."""
        return bool(self.costs) and all(
            run.is_finished for label in self.labels for run in self.runs(label)
        )

    def start(self, study: Study) -> None:
        """Make the folder and put the study into it, unless it is there."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.study_path.is_file():
            study.save(self.study_path)

    def check(self, study: Study, *, resume: bool) -> None:
        """Check that the study may be made, or continued, here; nothing is changed.

        Raises:
            NotADirectoryError: If the path is a file.
            ValueError: If it holds another study or something else, or this one although
                ``resume`` is off.
        """
        who = f"a study in {self.path}"
        if self.path.exists() and not self.path.is_dir():
            raise NotADirectoryError(
                expected(who, "a folder", Words("a file"), "choose another folder")
            )
        if not self.path.exists() or all(f.name.startswith(".") for f in self.path.iterdir()):
            return
        if not self.study_path.is_file():
            raise ValueError(
                expected(
                    who, "a new, an empty or a study folder", Words("other files"), "choose another"
                )
            )
        changed = differences(self.study, study)
        if changed:
            raise ValueError(
                expected(
                    who,
                    "the study that the folder already holds",
                    Words(f"another one ({'; '.join(changed)})"),
                    "choose another folder, or delete this one",
                )
            )
        if not resume:
            raise ValueError(
                expected(
                    who,
                    "a new or an empty folder",
                    Words("this study"),
                    "resume it, or choose anew",
                )
            )

"""Our accuracies: which finished runs may stand beside a published row, and which may not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from foveate.attention import attention_spec
from foveate.core import expected
from foveate.data.sources import SOURCES
from foveate.paper.ablation import ABLATIONS
from foveate.paper.published import Experiment, Group, PublishedRow
from foveate.report import Estimate, StudyRecord, estimate, read_study
from foveate.report.reading import NONE, variants_of
from foveate.training import ModelSection, Recipe, RunFolder

# What all experiments share, and what none mentions, so that none may use it; precision and speed
# are free.
_SHARED: dict[str, Any] = {
    **{"train.momentum": 0.9, "train.decay_norms": True},
    **{"data.limit_train": None, "data.limit_val": None},
    **{"train.warmup_epochs": 0, "train.gates_first": 0, "train.early_stop": None},
    **{"train.label_smoothing": 0, "train.mixup": 0, "train.cutmix": 0},
    **{"train.clip_norm": None, "train.ema_decay": None, "train.keep": "last"},
}


# Options of data that change no image.
_WHERE_DATA_LIE = ("cache", "cache_gb")
# Settings that are looked at together: how many images make a step, and at which rate.
_STEP = ("train.lr", "train.lr_batch")
_OPENING = ("opening", "opening_epochs")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: Its folder.
        recipe: Its recipe.
        result: Its result, fractions.
        processes: How many processes trained together.
    """

    path: Path
    recipe: Recipe
    result: dict[str, Any]
    processes: int = 1

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.recipe.seed

    @property
    def data(self) -> str:
        """Its data source, without a folder."""
        return self.recipe.data.source.partition(":")[0]


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a row here.

    Attributes:
        top1: Mean over the seeds with its interval, fractions.
        top5: The same for top-5.
        runs: The runs, by seed.
        repeated: Further runs of these seeds, which do not count.
    """

    top1: Estimate
    top5: Estimate
    runs: dict[int, Run]
    repeated: tuple[Run, ...] = ()

    @property
    def scores(self) -> dict[int, float]:
        """Top-1 by seed, fractions."""
        return {seed: run.result["top1"] for seed, run in self.runs.items()}

    def record(self) -> dict[str, Any]:
        """What a JSON file says of it."""
        return {
            "top1": {"mean": self.top1.mean, "half_width": self.top1.half_width},
            "top5": {"mean": self.top5.mean, "half_width": self.top5.half_width},
            "seeds": sorted(self.runs),
            "runs": [str(run.path) for run in self.runs.values()],
        }


def find_runs(folder: Path | None) -> list[Run]:
    """Every finished run below a folder, in the order of their paths; none without a folder.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If a run has a recipe or a result that cannot be read; it is named.
    """
    return [
        made_run(run, run.recipe, result)
        for run, result in results_below(folder)
        if {"top1", "top5", "images"} <= result.keys()
    ]


def results_below(folder: Path | None) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """Every run folder with a result below a folder, whatever its task; none without a folder.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If a result cannot be read; it is named.
    """
    if folder is None:
        return
    if not folder.is_dir():
        rule = "a folder of runs or studies"
        raise FileNotFoundError(expected("--runs", rule, str(folder), "name another folder"))
    for path in sorted(folder.rglob("result.json")):
        run = RunFolder(path.parent)
        if not run.config_path.is_file():
            continue
        result = run.result
        if isinstance(result, dict):
            yield run, result


def made_run(run: RunFolder, recipe: Recipe, result: dict[str, Any]) -> Run:
    """A finished run; a launcher may have started more processes than its recipe says."""
    train = recipe.train
    noted = (run.environment or {}).get("processes", train.devices * train.nodes)
    return Run(run.path, recipe, result, int(noted))


def find_studies(folder: Path | None, ablation: str) -> list[StudyRecord]:
    """Every study below a folder that has the variants of an ablation and a finished run."""
    if folder is None:
        return []
    labels = ABLATIONS[ablation].variants
    studies = [read_study(path.parent) for path in sorted(folder.rglob("study.toml"))]
    return [
        study
        for study in studies
        if labels.keys() <= variants_of(study.study).keys()
        and any(study.finished(label) for label in labels)
    ]


def accuracy_of(
    row: PublishedRow, experiment: Experiment | None, runs: list[Run]
) -> Accuracy | None:
    """The accuracy of the runs that made a row's network by its experiment in full.

    Where several runs have one seed, the first of them counts.
    """
    if experiment is None:
        return None
    fitting = [
        run
        for run in runs
        if is_candidate(run, row, experiment) and not departures(run, row, experiment)
    ]
    if not fitting:
        return None
    first = {run.seed: run for run in reversed(fitting)}
    chosen = dict(sorted(first.items()))
    return Accuracy(
        top1=estimate([run.result["top1"] for run in chosen.values()]),
        top5=estimate([run.result["top5"] for run in chosen.values()]),
        runs=chosen,
        repeated=tuple(run for run in fitting if run is not first[run.seed]),
    )


def is_candidate(run: Run, row: PublishedRow, experiment: Experiment) -> bool:
    """Whether a run is of a row's network on its data, under whatever settings."""
    model, wanted = run.recipe.model, row.model
    if (model.name, plain_name(model.attention)) != (wanted.name, plain_name(wanted.attention)):
        return False
    return run.data == experiment.data or _looks_like(run, experiment)


def departures(run: Run, row: PublishedRow, experiment: Experiment) -> list[str]:
    """What keeps a candidate from standing beside the row, such as ``"train.epochs = 5"``."""
    # The row's own network says what the model is.
    settings = {**_SHARED, **experiment.settings}
    settings = {key: value for key, value in settings.items() if not key.startswith("model.")}
    found = [*other_settings(run.recipe, settings), *other_step(run, experiment)]
    found += [
        f"{key} = {value}"
        for key, value in run.recipe.data.options.items()
        if key not in _WHERE_DATA_LIE and (key, value) not in (("crop", "none"), ("margin", 0))
    ]
    found += other_model(run.recipe.model, row.model)
    return [*found, *other_data(run, experiment)]


def left_out(group: Group, runs: list[Run]) -> Iterator[tuple[Run, list[str]]]:
    """Runs of the group's networks on its data that fit no row, with what keeps them out."""
    experiment = group.experiment
    if experiment is None:
        return
    for run in runs:
        rows = [row for row in group.rows if is_candidate(run, row, experiment)]
        reasons = [departures(run, row, experiment) for row in rows]
        if reasons and all(reasons):
            yield run, min(reasons, key=len)


def _looks_like(run: Run, experiment: Experiment) -> bool:
    """Whether a folder or shards hold as many classes and images as the data set has."""
    if run.data in SOURCES and run.data != "shards":
        return False
    images = run.result["images"] + len(run.result.get("unreadable", ()))
    classes = len(run.result.get("classes", ()))
    return (classes, images) == (experiment.classes, experiment.images)


def other_settings(recipe: Recipe, settings: Mapping[str, Any]) -> list[str]:
    """Settings that a recipe has otherwise; the step is looked at as a whole elsewhere."""
    found = []
    for key, wanted in settings.items():
        value = reduce(getattr, key.split("."), recipe)
        # A list of a file may be a tuple of a recipe.
        same = value in (wanted, tuple(wanted) if isinstance(wanted, list) else wanted)
        if key not in _STEP and not same:
            found.append(f"{key} = {value}")
    return found


def other_data(run: Run, experiment: Experiment) -> list[str]:
    """How what a run was measured on differs from the whole of the experiment's data."""
    classes, images = len(run.result.get("classes", ())), run.result["images"]
    found = [] if classes == experiment.classes else [f"{classes} of {experiment.classes} classes"]
    if images + len(run.result.get("unreadable", ())) != experiment.images:
        found.append(f"measured on {images} of {experiment.images} images")
    return found


def other_step(run: Run, experiment: Experiment) -> list[str]:
    """What a step of a run does not share with the experiment; its parts may be others."""
    train = run.recipe.train
    images = train.batch_size * train.accumulate * run.processes
    if images != experiment.settings["train.lr_batch"]:
        return [f"{images} images in a step"]
    lr = train.scaled_lr(run.processes)
    same = math.isclose(lr, experiment.settings["train.lr"], rel_tol=1e-9)
    return [] if same else [f"a learning rate of {lr:g}"]


def other_model(model: ModelSection, wanted: ModelSection) -> list[str]:
    """How a run's network is built or started otherwise than the row's, defaults filled in."""
    found = []
    for name in ModelSection.model_fields:
        ours, theirs = getattr(model, name), getattr(wanted, name)
        if name == "options":
            found += _other_options(model, wanted)
        elif name == "where" and ours != theirs and not wanted.network:
            found += [] if _site(model) == _site(wanted) else [f"model.where = {ours}"]
        elif name == "attention" or (name in _OPENING and model.start == "paper"):
            continue  # The candidate has it by whichever name; and what starts open opens no more.
        elif ours != theirs:
            found.append(f"model.{name} = {ours}")
    return found


def plain_name(attention: str) -> str:
    """The name of an attention, whichever of its names is given."""
    return attention if attention == NONE else attention_spec(attention).name


def _site(model: ModelSection) -> str | list[str]:
    """Where the attention sits, its own place if none is given."""
    if model.where is not None or model.attention == NONE:
        return model.where or ""
    return attention_spec(model.attention).site


def _other_options(model: ModelSection, wanted: ModelSection) -> list[str]:
    """Options of a run's attention that are not the row's, defaults filled in."""
    if model.attention == NONE:
        return []
    defaults = attention_spec(model.attention).options
    ours, theirs = {**defaults, **model.options}, {**defaults, **wanted.options}
    return [f"{key} = {value}" for key, value in ours.items() if theirs.get(key) != value]

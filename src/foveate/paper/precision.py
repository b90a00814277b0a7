"""Our average precisions: which finished detectors may stand beside a published row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveate.detection.recipe import TASK, DetectionRecipe, DetectorSection, load_detection_recipe
from foveate.paper.accuracy import (
    Run,
    made_run,
    other_data,
    other_model,
    other_settings,
    other_step,
    plain_name,
    results_below,
)
from foveate.paper.published import Experiment, Group, PublishedRow
from foveate.report import Estimate, StudyRecord, estimate, read_study
from foveate.report.metric import DETECTION

KEYS = (DETECTION.key, *(key for key, _ in DETECTION.further))
# The 1x schedule, counted from the end of the phases that lead in; their lengths are free.
EPOCHS = 12
# What the recipe names and no file of settings can: nothing is left out, and nothing added.
_SHARED: dict[str, Any] = {
    **{"data.limit_train": None, "data.limit_val": None, "model.trainable_stages": None},
    **{"train.clip_norm": None, "train.ema_decay": None, "train.gates_first": 0},
    **{"train.early_stop": None},
}
# How a backbone starts is told apart from how it is built.
_STARTS = ("name", "pretrained", "weights")


@dataclass(frozen=True)
class Precision:
    """The average precision of a row here.

    Attributes:
        means: AP and its parts with intervals, fractions, by key; what no run has is left out.
        runs: The runs, by seed.
    """

    means: Mapping[str, Estimate]
    runs: Mapping[int, Run]

    def record(self) -> dict[str, Any]:
        """What a JSON file says of it."""
        return {
            **{key: {"mean": e.mean, "half_width": e.half_width} for key, e in self.means.items()},
            "seeds": list(self.runs),
            "runs": [str(run.path) for run in self.runs.values()],
        }


def find_detectors(folder: Path | None) -> list[Run]:
    """Every finished run of a detector below a folder, in the order of their paths.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If a run has a recipe or a result that cannot be read; it is named.
    """
    return [
        made_run(run, load_detection_recipe(run.config_path), result)
        for run, result in results_below(folder)
        if result.get("task") == TASK and {"ap", "images"} <= result.keys()
    ]


def find_detector_studies(folder: Path | None) -> list[StudyRecord]:
    """Every study of detectors below a folder that has a finished run."""
    if folder is None:
        return []
    studies = [read_study(path.parent) for path in sorted(folder.rglob("study.toml"))]
    return [
        study
        for study in studies
        if study.metric is DETECTION and any(study.finished(label) for label in study.labels)
    ]


def precision_of(row: PublishedRow, experiment: Experiment, runs: list[Run]) -> Precision | None:
    """The precision of the runs that made a row's detector by its experiment in full.

    Where several runs have one seed, the first of them counts.
    """
    fitting = [
        run for run in runs if is_candidate(run, row) and not departures(run, row, experiment)
    ]
    if not fitting:
        return None
    first = {run.seed: run for run in reversed(fitting)}
    chosen = dict(sorted(first.items()))
    found = {
        key: [value for run in chosen.values() if (value := run.result.get(key)) is not None]
        for key in KEYS
    }
    return Precision({key: estimate(values) for key, values in found.items() if values}, chosen)


def is_candidate(run: Run, row: PublishedRow) -> bool:
    """Whether a run is of a row's backbone and attention, on whatever data and settings."""
    ours, theirs = run.recipe.model, row.model
    return (_bare(ours.name), plain_name(ours.attention)) == (
        _bare(theirs.name),
        plain_name(theirs.attention),
    )


def departures(run: Run, row: PublishedRow, experiment: Experiment) -> list[str]:
    """What keeps a run from standing beside the row, such as ``"6 of 80 classes"``."""
    recipe = run.recipe
    model = recipe.model
    found = other_data(run, experiment)
    found += other_settings(recipe, {**_SHARED, **experiment.settings})
    found += other_step(run, experiment)
    if isinstance(recipe, DetectionRecipe):
        epochs = recipe.train.epochs - recipe.train.lead_in
        found += [] if epochs == EPOCHS else [f"{epochs} epochs of the schedule"]
    if not model.pretrained and not model.weights:
        found.append("a backbone that starts at random")
    wanted = row.model.model_copy(update={name: getattr(model, name) for name in _STARTS})
    return found + other_model(model, wanted)


def left_out(group: Group, runs: list[Run]) -> Iterator[tuple[Run, list[str]]]:
    """Detectors on the group's data that fit no row, with what keeps them out."""
    experiment = group.experiment
    for run in runs:
        if experiment is None or len(run.result.get("classes", ())) != experiment.classes:
            continue
        rows = [row for row in group.rows if is_candidate(run, row)]
        reasons = [departures(run, row, experiment) for row in rows]
        if all(reasons):
            yield run, min(reasons, key=len, default=["no such backbone in the table"])


def elsewhere(group: Group, runs: list[Run], studies: list[StudyRecord]) -> list[Run]:
    """Detectors on other data that belong to none of the studies."""
    classes = group.experiment.classes if group.experiment else 0
    homes = [study.path for study in studies]
    return [
        run
        for run in runs
        if len(run.result.get("classes", ())) != classes
        and not any(home in run.path.parents for home in homes)
    ]


def told(run: Run) -> str:
    """A run in a few words: its detector, data and seed."""
    recipe, result = run.recipe, run.result
    model = recipe.model
    kind = f"{model.detector} with " if isinstance(model, DetectorSection) else ""
    ap = result["ap"]
    said = "no AP" if ap is None else f"AP {100 * ap:.2f} %"
    return (
        f"{kind}{model.name} and {model.attention} on {run.data}, {result['images']} images,"
        f" seed {run.seed}: {said}"
    )


def _bare(name: str) -> str:
    """A network without the library it comes from: a plain ResNet is the same in all of them."""
    return name.rpartition("/")[2]

"""Read a study folder: plain files in, records out; nothing of training is imported."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.core import expected
from foveate.core.reading import TEXT_LIMIT, parse_json, read_file, read_text, whole
from foveate.report.metric import Metric, metric_of
from foveate.training.toml import read_toml

NONE = "none"
WIDER = "wider"
_RUN = re.compile(r"^(?P<label>.+)-seed(?P<seed>\d+)$")


@dataclass(frozen=True)
class RunRecord:
    """What one run folder says.

    Attributes:
        label: The row: an attention's name, the label of a variant, or ``"wider"``.
        seed: Its seed.
        path: The run folder.
        result: ``result.json``, or None while the run is unfinished.
        curve: Rows of ``metrics.csv``, one per epoch; a value that is missing is NaN.
        config: ``config.toml``.
        environment: ``environment.json``.
    """

    label: str
    seed: int
    path: Path
    result: Mapping[str, Any] | None
    curve: list[dict[str, float]]
    config: Mapping[str, Any]
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """What one study folder says.

    Attributes:
        path: The folder.
        study: ``study.toml``.
        labels: Variants in the order of the study, the wider control last.
        seeds: Seeds asked for, in order.
        costs: ``costs.json`` by label, without its conditions.
        conditions: How the costs were measured.
        runs: Runs that have a folder, by label and seed.
    """

    path: Path
    study: Mapping[str, Any]
    labels: list[str]
    seeds: list[int]
    costs: Mapping[str, Mapping[str, Any]]
    conditions: Mapping[str, Any]
    runs: Mapping[str, Mapping[int, RunRecord]] = field(default_factory=dict)

    def finished(self, label: str) -> dict[int, RunRecord]:
        """Finished runs of a label by seed."""
        runs = self.runs.get(label, {})
        return {seed: run for seed, run in runs.items() if run.result is not None}

    @property
    def metric(self) -> Metric:
        """What the study compares."""
        return metric_of(self.study)

    def scores(self, label: str, key: str = "") -> dict[int, float]:
        """A result of each finished run of a label by seed, by default what the study compares."""
        key, found = key or self.metric.key, {}
        for seed, run in self.finished(label).items():
            value = (run.result or {}).get(key)
            if isinstance(value, (int, float)) and math.isfinite(value):
                found[seed] = float(value)
        return found

    def any_run(self) -> RunRecord | None:
        """The first run there is, for what all runs share."""
        return next(self.all_runs(), None)

    def all_runs(self) -> Iterator[RunRecord]:
        """Every run that has a folder, finished or not."""
        return (run for runs in self.runs.values() for run in runs.values())


def read_study(folder: str | Path) -> StudyRecord:
    """Read what ``foveate compare`` left in ``folder``, finished or not.

    Raises:
        FileNotFoundError: If the folder is missing or is no study.
        ValueError: If a file in it cannot be read as what it should be.
    """
    path = Path(folder)
    if not (path / "study.toml").is_file():
        rule = "a study folder with study.toml, as made by `foveate compare`"
        raise FileNotFoundError(expected("report", rule, str(path)))
    with whole_study(path):
        return _read_study(path)


def whole_study(path: Path) -> AbstractContextManager[None]:
    """Hold whoever looks into a study to one error for files that are not as they were written."""
    return whole(f"a report of {path}", "results and costs as foveate writes them")


def _read_study(path: Path) -> StudyRecord:
    study = read_toml(path / "study.toml")
    metric_of(study)  # Of a task that is unknown here nothing could be told.
    costs = dict(_read_json(path / "costs.json"))
    conditions = costs.pop("_conditions", {})
    runs: dict[str, dict[int, RunRecord]] = {}
    folders = sorted((path / "runs").iterdir()) if (path / "runs").is_dir() else []
    for child in folders:
        match = _RUN.match(child.name)
        if match and child.is_dir():
            run = _read_run(child, match["label"], int(match["seed"]))
            runs.setdefault(run.label, {})[run.seed] = run
    runs = {label: dict(sorted(by_seed.items())) for label, by_seed in runs.items()}
    labels = _labels(study, costs, runs)
    return StudyRecord(
        path=path,
        study=study,
        labels=labels,
        seeds=_seeds(study, runs),
        costs=costs,
        conditions=conditions,
        runs=runs,
    )


def find_key(tree: Mapping[str, Any], name: str) -> Any:
    """The value of the first key ``name`` in nested tables, outer ones first; None if absent.

    Example:
        >>> find_key({"a": {"seed": 3}}, "seed")
        3
    """
    if name in tree:
        return tree[name]
    for value in tree.values():
        if isinstance(value, Mapping):
            found = find_key(value, name)
            if found is not None:
                return found
    return None


def variants_of(study: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The variants that ``study.toml`` names, by label."""
    variants = study.get("variants")
    return variants if isinstance(variants, Mapping) else {}


def _labels(
    study: Mapping[str, Any], costs: Mapping[str, Any], runs: Mapping[str, Any]
) -> list[str]:
    asked = find_key(study, "attentions")
    labels = [str(name) for name in asked] if isinstance(asked, list) else []
    labels += variants_of(study)
    labels += [name for name in (*costs, *runs) if not name.startswith("_")]
    unique = list(dict.fromkeys(labels))
    return [name for name in unique if name != WIDER] + [WIDER] * (WIDER in unique)


def _seeds(study: Mapping[str, Any], runs: Mapping[str, Mapping[int, RunRecord]]) -> list[int]:
    asked = find_key(study, "seeds")
    if isinstance(asked, int):
        return list(range(asked))
    if isinstance(asked, list):
        return [int(seed) for seed in asked]
    return sorted({seed for by_seed in runs.values() for seed in by_seed})


def _read_run(path: Path, label: str, seed: int) -> RunRecord:
    config = read_toml(path / "config.toml") if (path / "config.toml").is_file() else {}
    result = _read_json(path / "result.json")
    return RunRecord(
        label=label,
        seed=seed,
        path=path,
        result=result or None,
        curve=_read_curve(path / "metrics.csv"),
        config=config,
        environment=_read_json(path / "environment.json"),
    )


def _read_curve(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    lines = read_text(path, "a table of epochs").splitlines()
    with whole(str(path), "a table of epochs"):
        return [
            {key: _number(value) for key, value in row.items() if key}
            for row in csv.DictReader(lines)
        ]


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = parse_json(read_file(path, TEXT_LIMIT), "report", f"valid JSON in {path}")
    if not isinstance(content, dict):
        raise ValueError(expected("report", f"a JSON object in {path}", type(content).__name__))
    return content

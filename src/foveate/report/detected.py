"""What only tasks beyond classification have: scores by class, curves, pictures, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from foveate.core import expected
from foveate.core.reading import TEXT_LIMIT, lies_in, parse_json, read_file
from foveate.detection.data.problems import problem_lines
from foveate.report.reading import StudyRecord
from foveate.report.statistics import estimate
from foveate.report.table import score_text
from foveate.report.wording import measured_by

OVERLAPS = ("0.50", "0.75")
"""Overlaps whose curves are drawn, the first solid."""
PICTURES = "pictures.json"
Curves = dict[str, dict[str, dict[str, list[float]]]]


def detected_of(study: StudyRecord) -> dict[str, Any] | None:
    """Gather what a study has whose networks find more than one class in an image.

    Args:
        study: What ``read_study`` returned.

    Returns:
        ``classes``: ``columns`` and ``rows`` of the score by class; ``curves``: lowest, mean and
        highest precision over the seeds at 101 recalls, by label and overlap; ``pictures``: file
        and description of each; ``problems``: lines by split. None if there is nothing of it.

    Raises:
        ValueError: If ``pictures.json`` is damaged.
    """
    scored = any(study.metric.key in (run.result or {}) for run in study.all_runs())
    if not study.metric.further or not scored:
        return None
    return {
        "classes": _classes(study),
        "curves": _curves(study),
        "pictures": list(_pictures(study)),
        "problems": {
            split: problem_lines(found)
            for split, found in measured_by(study).get("problems", {}).items()
            if found
        },
    }


def _classes(study: StudyRecord) -> dict[str, Any]:
    """The score of every class with its interval over the seeds."""
    if not study.metric.by_class:
        return {"columns": [], "rows": []}
    (score, _), (measured, title) = study.metric.by_class
    found: dict[str, dict[str, list[float]]] = {}
    objects: dict[str, int] = {}
    for label in study.labels:
        for run in study.finished(label).values():
            for one in (run.result or {}).get("per_class", ()):
                objects.setdefault(one["name"], one[measured])
                values = found.setdefault(one["name"], {}).setdefault(label, [])
                values += [] if one[score] is None else [one[score]]
    labels = [label for label in study.labels if study.finished(label)]
    return {
        "columns": ["class", title, *labels],
        "rows": [
            [name, str(objects[name]), *(_mean(by_label.get(label, ())) for label in labels)]
            for name, by_label in found.items()
        ],
    }


def _mean(values: Sequence[float]) -> str:
    return score_text(estimate(values) if values else None)


def _curves(study: StudyRecord) -> Curves:
    made: Curves = {}
    for label in study.labels:
        results = [run.result or {} for run in study.finished(label).values()]
        for overlap in OVERLAPS:
            lines = [line for one in results if (line := one.get("curves", {}).get(overlap))]
            points = list(zip(*lines, strict=False))
            if points:
                made.setdefault(label, {})[overlap] = {
                    name: [round(fold(values), 4) for values in points]
                    for name, fold in (("low", min), ("mean", fmean), ("high", max))
                }
    return made


def _pictures(study: StudyRecord) -> Iterator[dict[str, str]]:
    """The pictures that lie in the folder of the study; others are left out."""
    path, home = study.path / PICTURES, study.path.resolve()
    if not path.is_file():
        return
    rule = f"a list of pictures in {path}"
    told = parse_json(read_file(path, TEXT_LIMIT), "report", rule)
    if not isinstance(told, list):
        raise ValueError(expected("report", rule, type(told).__name__))
    for one in told:
        file = str(one.get("file", "")) if isinstance(one, Mapping) else ""
        if lies_in(home, file):
            yield {"file": file, "alt": str(one.get("alt", ""))}

"""What came out of a study, in plain sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from foveate.report.metric import CLASSIFICATION
from foveate.report.reading import NONE, WIDER, StudyRecord, find_key, variants_of
from foveate.report.rows import BETTER, SAME, WORSE, Row


def headline(rows: list[Row], classes: int | None = None) -> str:
    """A few plain sentences: who differs from none, and what can be told at all.

    Args:
        rows: What ``rows_of`` returned.
        classes: Number of classes, if known: classifiers near chance are pointed out.
    """
    said = _outcome(rows)
    tops = [row.score.mean for row in rows if row.score]
    metric = rows[0].metric if rows else CLASSIFICATION
    doubt = metric.unlearned(metric.best(tops), classes) if tops else ""
    return f"{said} {doubt}".rstrip()


def _outcome(rows: list[Row]) -> str:
    attentions = [row for row in rows if row.label not in (NONE, WIDER)]
    if not any(row.label == NONE and row.runs for row in rows):
        return "No run of the plain network is finished, so there is nothing to compare with yet."
    if not any(row.runs for row in attentions):
        return "No attention has a finished run yet."
    if _most_pairs(attentions) < 2:
        return (
            "Only one seed is finished: the differences below cannot be told from chance. "
            "Run at least 3 seeds before drawing a conclusion."
        )
    parts = []
    for verdict, word in ((BETTER, "better"), (WORSE, "worse")):
        names = [row.label for row in attentions if row.verdict == verdict]
        if names:
            parts.append(f"Significantly {word} than the plain network: {join(names)}.")
    if parts:
        same = [row.label for row in attentions if row.verdict == SAME]
        if same:
            parts.append(f"Not significantly different from it: {join(same)}.")
        first = " ".join(parts)
    else:
        first = "No attention differs significantly from the plain network."
    return f"{first} {resolution(attentions)}".strip()


def resolution(attentions: list[Row]) -> str:
    """How small a difference the seeds can show."""
    halves = [
        row.against_none.difference.half_width
        for row in attentions
        if row.against_none and row.against_none.difference.half_width
    ]
    if not halves:
        return ""
    unit = attentions[0].metric.unit
    low, high = unit.of(min(halves)), unit.of(max(halves))
    size = f"{low} {unit.gaps}" if low == high else f"{low} to {high} {unit.gaps}, by attention,"
    seeds = _most_pairs(attentions)
    told = f"With {seeds} seeds a difference under {size} cannot be told from noise"
    # The intervals are those of single comparisons, the verdicts are corrected for all of them.
    many = len(halves) > 1
    return f"{told}, before the correction for {len(halves)} tests." if many else f"{told}."


def legend(study: StudyRecord) -> list[str]:
    """What each variant of the study stands for, such as ``"thin is das with alpha = 0.02."``."""
    said = []
    for label, variant in variants_of(study.study).items():
        settings = {**variant.get("options", {}), **variant.get("changes", {})}
        options = [f"{key} = {value}" for key, value in settings.items()]
        place = variant.get("where")
        place = ", ".join(place) if isinstance(place, list) else place
        tail = (f" with {join(options)}" if options else "") + (f" at {place}" if place else "")
        said.append(f"{label} is {variant.get('attention')}{tail}.")
    return said


def limits(study: StudyRecord, rows: list[Row]) -> list[str]:
    """What the reader must not conclude, drawn from the study itself."""
    said = []
    pairs = _most_pairs([row for row in rows if row.label not in (NONE, WIDER)])
    if pairs < 2:
        said.append("One seed: no interval and no test is possible.")
    else:
        said.append(
            f"{pairs} seeds: intervals are Student's t with {_degrees(pairs - 1)} of freedom, which"
            " assumes that differences between seeds are normally distributed; so few values"
            " cannot show whether they are. Seeds vary initialization and data order,"
            " not the split of the data."
        )
        said.append(
            "Not significant does not mean equal: it means that these runs cannot tell."
            " p-values are two-sided, paired by seed and corrected by Holm's method for the"
            " number of variants compared with none. Intervals are not corrected: one may leave 0"
            " out although its corrected p-value is not significant."
        )
    perfect = [row.label for row in rows if row.score and study.metric.is_perfect(row.score.mean)]
    if perfect:
        said.append(study.metric.perfect(join(perfect)))
    said += study.metric.measured(measured_by(study))
    missing = [f"{row.label} ({row.wanted - row.runs})" for row in rows if row.runs < row.wanted]
    if missing:
        said.append(
            f"Runs not finished: {', '.join(missing)}. Run `{study.metric.command}` again to add"
            " them."
        )
    counted = study.conditions.get("counted")
    said += [f"MACs are {counted}."] if isinstance(counted, str) else []
    said.append(_wider(study, rows))
    said.append(
        "All variants share one recipe, tuned for none of them; a recipe tuned for each could"
        " order them differently. Times hold for the machine and batch below only."
    )
    return [line for line in said if line]


def _wider(study: StudyRecord, rows: list[Row]) -> str:
    if any(row.label == WIDER and row.runs for row in rows):
        return (
            "wider is the plain network made wider until it has as many parameters as the largest"
            " variant: an attention that does not beat it may owe its gain to its size."
        )
    reason = study.costs.get(WIDER, {}).get("reason") or find_key(study.conditions, "wider")
    why = f": {reason}" if isinstance(reason, str) and reason else ""
    return f"There is no parameter-matched control{why}; a gain may come from size alone."


def data_name(source: str) -> str:
    """What a source of images is called: its kind, or the name of its file or folder.

    Example:
        >>> data_name("cifar100:data"), data_name("coco:maps/trees.json:maps")
        ('cifar100', 'trees.json')
    """
    kind, _, place = source.partition(":")
    return PurePath(place.partition(":")[0]).name if kind in ("coco", "voc") else kind


def unreadable(study: StudyRecord) -> list[Mapping[str, Any]]:
    """Images that could not be read in any run, once each."""
    found: dict[str, Mapping[str, Any]] = {}
    for run in study.all_runs():
        for entry in (run.result or {}).get("unreadable", None) or []:
            if isinstance(entry, Mapping):
                found.setdefault(str(entry.get("name")), entry)
    return list(found.values())


def class_count(study: StudyRecord) -> int | None:
    """The number of classes that the finished runs tell apart, None if they do not say."""
    return len(measured_by(study).get("classes", ())) or None


def measured_by(study: StudyRecord) -> Mapping[str, Any]:
    """What the finished runs say of the data, each thing by the first that says it."""
    said: dict[str, Any] = {}
    for run in study.all_runs():
        for key, value in (run.result or {}).items():
            if value:
                said.setdefault(key, value)
    return said


def subject(study: StudyRecord) -> tuple[str, str]:
    """The data and the network of a study in words."""
    run = study.any_run()
    config = run.config if run else {}
    data, model = config.get("data", {}), config.get("model", {})
    source = data.get("source") or find_key(study.study, "source") or "unknown data"
    name = model.get("name") or find_key(study.study, "model") or "unknown model"
    name = name if isinstance(name, str) else str(find_key(study.study, "name"))
    width = model.get("width", 1.0)
    named = name if width == 1 else f"{name} at {width:g} of its width"
    head = model.get("detector") or model.get("head")
    # Of a stereo network the head is a table of numbers; all have one kind.
    head = head if isinstance(head, str) else study.metric.head
    return str(source), f"{head} with {named}" if head else named


def _most_pairs(attentions: list[Row]) -> int:
    counts = [row.against_none.difference.count for row in attentions if row.against_none]
    return max(counts, default=0)


def _degrees(count: int) -> str:
    return "1 degree" if count == 1 else f"{count} degrees"


def join(names: list[str]) -> str:
    """Names with commas and "and" between."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def told(value: object) -> str:
    """A value of a file in words: mappings and lists in one line."""
    if value is None:
        return "not known"
    if isinstance(value, (Mapping, list, tuple)) and not value:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {told(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(told(entry) for entry in value)
    return value if isinstance(value, str) else json.dumps(value)

"""How accuracy goes from the moment of insertion on: studies that fine-tune a trained network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from foveate.core import require
from foveate.report.metric import Metric
from foveate.report.reading import NONE, StudyRecord, read_study
from foveate.report.statistics import LEVEL, Comparison, compare, estimate, holm
from foveate.report.table import gap_text, p_text, score_text
from foveate.report.unit import Unit
from foveate.report.wording import join

BASE = "base"
# After these epochs the table tells; 0 is right after insertion. The last epoch always counts.
_TOLD = (0, 1, 2, 5)
Scores = dict[int, dict[int, float]]


def starts_of(study: StudyRecord) -> dict[str, Any] | None:
    """Tables and curves of a study whose runs were measured before their first step.

    Args:
        study: What ``read_study`` returned; the folder ``base`` in it is the study that trained the
            networks the runs started from, if they are known.

    Returns:
        ``epochs`` told; ``columns`` and ``rows`` of the accuracies; ``gaps``, the rows of the
        differences to the base network, paired by seed, their p-values corrected by Holm's method
        over the whole table; ``headline``; ``curves``, the score by label, epoch and seed;
        ``base``, the score by seed. None if no run was measured before its first step.
    """
    curves = {label: _scores(study, label) for label in study.labels}
    curves = {label: by_epoch for label, by_epoch in curves.items() if 0 in by_epoch}
    if not curves:
        return None
    base = _base(study)
    last = max(max(by_epoch) for by_epoch in curves.values())
    epochs = sorted({epoch for epoch in _TOLD if epoch < last} | {0, last})
    compared = {
        (label, epoch): compare(by_epoch.get(epoch, {}), base)
        for label, by_epoch in curves.items()
        for epoch in epochs
    }
    keys = {f"{label} {epoch}": one for (label, epoch), one in compared.items()}
    corrected = holm({key: one.p for key, one in keys.items() if one})
    heads = ["right after insertion" if epoch == 0 else f"epoch {epoch}" for epoch in epochs]
    unit = study.metric.unit
    rows = [[BASE, _mean(base, unit), *[""] * (len(epochs) - 1)]] if base else []
    rows += [
        [label, *(_mean(c.get(epoch, {}), unit) for epoch in epochs)] for label, c in curves.items()
    ]
    gaps = [
        [
            label,
            *(
                _gap(compared[label, epoch], corrected.get(f"{label} {epoch}"), unit)
                for epoch in epochs
            ),
        ]
        for label in curves
    ]
    return {
        "epochs": epochs,
        "columns": ["start", *heads],
        "rows": rows,
        "gaps": gaps if base else [],
        "headline": _headline(study.metric, compared, corrected, epochs, list(curves))
        if base
        else "",
        "curves": {
            label: {str(e): _keyed(seeds) for e, seeds in by_epoch.items()}
            for label, by_epoch in curves.items()
        },
        "base": _keyed(base),
    }


def terminal_starts(study: StudyRecord) -> list[Any]:
    """What :func:`starts_of` found as rich renderables and sentences; empty if nothing."""
    found = starts_of(study)
    if found is None:
        return []
    rich = require("rich.table", "train", "the terminal table")
    simple = require("rich.box", "train", "the terminal table").SIMPLE_HEAD
    made: list[Any] = []
    for title, rows in (
        (
            f"Right after insertion and later: validation {study.metric.title}, 95 % intervals",
            found["rows"],
        ),
        (
            f"To the base network before fine-tuning, {study.metric.unit.gaps}, paired by seed",
            found["gaps"],
        ),
    ):
        one = rich.Table(title=title, title_justify="left", title_style="bold", box=simple)
        for number, head in enumerate(found["columns"]):
            one.add_column(head, justify="right" if number else "left", no_wrap=not number)
        for row in rows:
            one.add_row(*row)
        made += [one] if rows else []
    return [*made, found["headline"]]


def _scores(study: StudyRecord, label: str) -> Scores:
    """The score of the finished runs of a label, by epoch and seed."""
    found: Scores = {}
    metric = study.metric
    for seed, run in study.finished(label).items():
        start = (run.result or {}).get("start")
        before = start.get(metric.key) if isinstance(start, Mapping) else None
        if isinstance(before, (int, float)):
            found.setdefault(0, {})[seed] = float(before)
        for row in run.curve:
            epoch, value = row.get("epoch", math.nan), row.get(metric.curve, math.nan)
            if math.isfinite(epoch) and math.isfinite(value):
                found.setdefault(int(epoch), {})[seed] = value
    return found


def _base(study: StudyRecord) -> dict[int, float]:
    folder = study.path / BASE
    return read_study(folder).scores(NONE) if (folder / "study.toml").is_file() else {}


def _keyed(by_seed: Mapping[int, float]) -> dict[str, float]:
    return {str(seed): value for seed, value in by_seed.items()}


def _mean(by_seed: Mapping[int, float], unit: Unit) -> str:
    return score_text(estimate(list(by_seed.values())) if by_seed else None, unit)


def _gap(against: Comparison | None, p: float | None, unit: Unit) -> str:
    tested = f", p {p_text(p)}" if p is not None else ""
    return f"{gap_text(against, unit)}{tested}"


def _headline(
    metric: Metric,
    compared: Mapping[tuple[str, int], Comparison | None],
    corrected: Mapping[str, float | None],
    epochs: list[int],
    labels: list[str],
) -> str:
    """Who lies below or above the base network, right after insertion, at the end and between.

    Between, only who differs significantly is named.
    """
    said = []
    for epoch in epochs:
        when = f"After epoch {epoch}" if epoch else "Right after insertion"
        groups: dict[str, list[str]] = {}
        for label in labels:
            p = corrected.get(f"{label} {epoch}")
            verdict = _verdict(metric, compared[label, epoch], p)
            groups.setdefault(verdict, []).append(label)
        told = _VERDICTS if epoch in (0, epochs[-1]) else (_BELOW, _ABOVE)
        parts = [f"{verdict}: {join(groups[verdict])}" for verdict in told if verdict in groups]
        if parts:
            said.append(f"{when}, against the base network: {'; '.join(parts)}.")
    return " ".join(said)


_EQUAL = "exactly as accurate"
_BELOW, _ABOVE = "significantly less accurate", "significantly more accurate"
_SAME, _UNTESTED = "not significantly different", "not tested"
_VERDICTS = (_EQUAL, _BELOW, _ABOVE, _SAME, _UNTESTED)


def _verdict(metric: Metric, against: Comparison | None, p: float | None) -> str:
    if against is None:
        return _UNTESTED
    gap = against.difference
    if gap.mean == 0 and not gap.deviation:
        return _EQUAL
    if p is None:
        return _UNTESTED
    if p >= LEVEL:
        return _SAME
    return _ABOVE if metric.is_better(gap.mean) else _BELOW

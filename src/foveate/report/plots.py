"""The report's charts: learning curves, and accuracy against cost."""

from __future__ import annotations

import math
from statistics import fmean

from foveate.report.metric import Metric
from foveate.report.reading import NONE, StudyRecord
from foveate.report.rows import Row
from foveate.report.svg import Chart, padded

PALETTE = 8


def styles(labels: list[str]) -> dict[str, str]:
    """Class of the style sheet by label: the plain network is gray, the others take their turn.

    Example:
        >>> styles(["none", "das"])
        {'none': 'c0', 'das': 'c1'}
    """
    others = [label for label in labels if label != NONE]
    found = {label: f"c{1 + turn % (PALETTE - 1)}" for turn, label in enumerate(others)}
    return {label: found.get(label, "c0") for label in labels}


def learning_curves(study: StudyRecord) -> list[tuple[str, str]]:
    """One small chart per label; all share their axes.

    Returns:
        Pairs of label and SVG; labels without a curve are left out.
    """
    style, metric = styles(study.labels), study.metric
    unit, scale = metric.unit, metric.unit.scale
    curves = {label: _curve(study, label) for label in study.labels}
    curves = {label: curve for label, curve in curves.items() if curve}
    values = [
        scale * value
        for curve in curves.values()
        for _, stages in curve
        for low, _, high in stages.values()
        for value in (low, high)
    ]
    y_low, y_high = padded(values)
    last = max((epoch for curve in curves.values() for epoch, _ in curve), default=1)
    first = min((epoch for curve in curves.values() for epoch, _ in curve), default=0)
    dashed, _ = metric.dashed
    charts = []
    for label, curve in curves.items():
        chart = Chart(
            title=f"Learning curve of {label}",
            description=_told(label, curve, metric),
            x_range=(first, last if last > first else first + 1),
            y_range=(max(0.0, y_low), min(unit.top, y_high)),
            x_label="epoch",
            y_label=f"{metric.title} {unit.name}",
            width=340,
            height=250,
            whole=True,
        )
        if label != NONE and NONE in curves:
            chart.line(_line(curves[NONE], metric.curve, scale), "faint")
        chart.band(
            [
                (epoch, scale * stages[metric.curve][0], scale * stages[metric.curve][2])
                for epoch, stages in curve
            ],
            style[label],
        )
        chart.line(_line(curve, dashed, scale), f"{style[label]} dashed")
        chart.line(_line(curve, metric.curve, scale), style[label])
        charts.append((label, chart.render()))
    return charts


def cost_charts(study: StudyRecord, rows: list[Row]) -> list[str]:
    """The score against MACs, and against the measured time of a forward pass."""
    style, heading = styles(study.labels), study.metric.heading
    charts = []
    for key, unit, x_label, title in (
        ("macs", 1e9, "MACs, G", f"{heading} against multiply-accumulates"),
        ("forward_ratio", 1.0, "forward time, x none", f"{heading} against forward time"),
    ):
        shown = [row for row in rows if row.score and isinstance(row.costs.get(key), (int, float))]
        if not shown:
            continue
        charts.append(_cost_chart(shown, style, key, unit, x_label, title))
    return charts


def _cost_chart(
    rows: list[Row], style: dict[str, str], key: str, unit: float, x_label: str, title: str
) -> str:
    places, told = {}, rows[0].metric.unit
    for row in rows:
        score = row.score
        if score is None:
            continue
        x, y = row.costs[key] / unit, told.scale * score.mean
        # With two seeds an interval can reach past what a score can be; the chart does not.
        down = told.within(told.scale * (score.low if score.low is not None else score.mean))
        up = told.within(told.scale * (score.high if score.high is not None else score.mean))
        low = (row.costs.get(f"{key}_low") or row.costs[key]) / unit
        high = (row.costs.get(f"{key}_high") or row.costs[key]) / unit
        places[row.label] = (x, y, down, up, low, high)
    y_low, y_high = padded([v for _, _, down, up, _, _ in places.values() for v in (down, up)])
    y_high += 0.1 * (y_high - y_low)  # Room for the words above the bars.
    x_low, x_high = padded([v for *_, low, high in places.values() for v in (low, high)], 0.12)
    said = "; ".join(
        f"{label}: {x:.3g}, {y:.{told.digits}f} {told.name}" for label, (x, y, *_) in places.items()
    )
    chart = Chart(
        title=title,
        description=f"{x_label}, {rows[0].metric.title}: {said}",
        x_range=(x_low, x_high),
        y_range=(y_low, y_high),
        x_label=x_label,
        y_label=f"{rows[0].metric.title} {told.name}",
    )
    for label, (x, y, down, up, low, high) in places.items():
        chart.error_bar((x, down), (x, up), style[label])
        chart.error_bar((low, y), (high, y), style[label])
        chart.dot((x, y), style[label], label)
        chart.label((x, up), label, style[label])
    return chart.render()


_Stages = dict[str, tuple[float, float, float]]


def _curve(study: StudyRecord, label: str) -> list[tuple[int, _Stages]]:
    """Lowest, mean and highest score over the seeds, by epoch."""
    keys = (study.metric.dashed[0], study.metric.curve)
    by_epoch: dict[int, dict[str, list[float]]] = {}
    for run in study.runs.get(label, {}).values():
        for turn, row in enumerate(run.curve):
            epoch = row.get("epoch", math.nan)
            slot = by_epoch.setdefault(int(epoch) if math.isfinite(epoch) else turn, {})
            for key in keys:
                if math.isfinite(row.get(key, math.nan)):
                    slot.setdefault(key, []).append(row[key])
    missing = (math.nan,) * 3
    curve: list[tuple[int, _Stages]] = []
    for epoch in sorted(by_epoch):
        stages: _Stages = {}
        for key in keys:
            values = by_epoch[epoch].get(key)
            stages[key] = (min(values), fmean(values), max(values)) if values else missing
        curve.append((epoch, stages))
    return curve


def _line(curve: list[tuple[int, _Stages]], key: str, scale: float) -> list[tuple[float, float]]:
    return [(epoch, scale * stages[key][1]) for epoch, stages in curve]


def _told(label: str, curve: list[tuple[int, _Stages]], metric: Metric) -> str:
    epoch, stages = curve[-1]
    (key, name), unit = metric.dashed, metric.unit
    beside, val = (
        f"{unit.scale * stages[one][1]:.{unit.digits}f} {unit.name}" for one in (key, metric.curve)
    )
    return f"At epoch {epoch} {label} has {beside} in {name} and {val} in validation"

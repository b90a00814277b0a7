"""Precision over recall: one small chart per detector for the page, one picture for print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foveate.explain.figures import new_figure, png_bytes
from foveate.report.detected import OVERLAPS, Curves
from foveate.report.pictures import DOTS, GRAY, LINES
from foveate.report.reading import NONE
from foveate.report.svg import Chart

SOLID, DASHED = OVERLAPS
IN_WORDS = (
    f"Precision over recall of every detector, mean over classes and seeds, at an overlap of"
    f" {SOLID} and of {DASHED}"
)


def precision_charts(curves: Curves, style: Mapping[str, str]) -> list[tuple[str, str]]:
    """One small chart per label; all share their axes.

    Args:
        curves: Of ``detected_of``.
        style: Classes of the style sheet by label.

    Returns:
        Pairs of label and SVG.
    """
    charts = []
    for label, lines in curves.items():
        chart = Chart(
            title=f"Precision over recall of {label}",
            description=_told(lines),
            x_range=(0, 100),
            y_range=(0, 100),
            x_label="recall %",
            y_label="precision %",
            width=340,
            height=250,
        )
        if label != NONE and SOLID in curves.get(NONE, {}):
            chart.line(_percent(curves[NONE][SOLID]["mean"]), "faint")
        for overlap, line in lines.items():
            there = zip(_percent(line["low"]), _percent(line["high"]), strict=True)
            chart.band([(x, low, high) for (x, low), (_, high) in there], style[label])
            dashed = "" if overlap == SOLID else " dashed"
            chart.line(_percent(line["mean"]), f"{style[label]}{dashed}")
        charts.append((label, chart.render()))
    return charts


def draw_precision(curves: Curves) -> bytes:
    """Draw the curves of all detectors, a panel per overlap, as PNG.

    Raises:
        ImportError: If matplotlib is missing.
    """
    return png_bytes(precision_figure(curves), colors=None)


def precision_figure(curves: Curves) -> Any:
    """The curves as a matplotlib figure: lines are means, bands run from seed to seed."""
    figure = new_figure(8.2, 3.9, dpi=110)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(1, len(OVERLAPS), sharey=True)
    for ax, overlap in zip(axes, OVERLAPS, strict=True):
        others = [label for label in curves if label != NONE]
        for label, lines in curves.items():
            if overlap not in lines:
                continue
            turn = others.index(label) if label in others else 0
            color = GRAY if label == NONE else LINES[turn % len(LINES)]
            x, mean = zip(*_percent(lines[overlap]["mean"]), strict=True)
            low, high = ([y for _, y in _percent(lines[overlap][end])] for end in ("low", "high"))
            ax.fill_between(x, low, high, color=color, alpha=0.13, lw=0)
            dot = "" if label == NONE else DOTS[turn % len(DOTS)]
            ax.plot(x, mean, f"{dot}-", color=color, lw=1.5, ms=4, markevery=10, label=label)
        ax.set_title(f"at an overlap of {overlap}", fontsize=10)
        ax.set_xlabel("recall %")
        ax.set_xlim(0, 100)
        ax.set_ylim(0, 101)
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("precision %, mean over classes")
    axes[-1].legend(frameon=False, fontsize=9)
    return figure


def _percent(values: list[float]) -> list[tuple[float, float]]:
    """Values at evenly spaced recalls from 0 to 1, both in percent."""
    last = max(len(values) - 1, 1)
    return [(100 * place / last, 100 * value) for place, value in enumerate(values)]


def _told(lines: Mapping[str, Mapping[str, list[float]]]) -> str:
    said = []
    for overlap, line in lines.items():
        middle = line["mean"][len(line["mean"]) // 2]
        said.append(f"at an overlap of {overlap} precision is {100 * middle:.1f} % at half recall")
    return "; ".join(said)

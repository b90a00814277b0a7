"""One plot of a kept study, chosen by what its labels are: bars, a sweep, a grid, or starts.

Colors are those of Okabe and Ito, which color-blind readers can tell apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from foveate.core import require
from foveate.explain.figures import new_figure, png_bytes
from foveate.report.metric import metric_of
from foveate.report.reading import NONE, WIDER
from foveate.report.statistics import estimate
from foveate.report.unit import Unit

_BLUE, _ORANGE, _GREEN, GRAY = "#0072B2", "#D55E00", "#009E73", "#666666"
LINES = (_ORANGE, _BLUE, _GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DOTS = ("o", "s", "^", "D", "v", "P", "X")
_SWEEP = re.compile(r"(?P<stem>[A-Za-z_]+)-(?P<value>\d+(\.\d+)?)")


def draw(kept: Mapping[str, Any]) -> bytes:
    """Draw a kept study as PNG.

    Args:
        kept: What :func:`foveate.report.kept.keep` returned, or the JSON file of it.

    Raises:
        ImportError: If matplotlib is missing.
    """
    return png_bytes(figure_of(kept), colors=None)


def figure_of(kept: Mapping[str, Any]) -> Any:
    """The plot as a matplotlib figure."""
    kinds = {"starts": _starts, "grid": _grid, "sweep": _sweep, "rows": _rows}
    return kinds[shape_of(kept)](kept)


def shape_of(kept: Mapping[str, Any]) -> str:
    """What the plot of a kept study is.

    Returns:
        ``"starts"`` if runs were measured before their first step; ``"grid"`` if the labels of the
        gated networks are all pairs ``A-B`` of two or more words each; ``"sweep"`` if they are
        three or more values ``NAME-NUMBER`` of one name; else ``"rows"``.
    """
    if kept.get("starts"):
        return "starts"
    labels = _gated(kept)
    pairs = [label.split("-") for label in labels]
    if all(len(pair) == 2 for pair in pairs):
        left, right = ({pair[side] for pair in pairs} for side in (0, 1))
        if min(len(left), len(right)) >= 2 and len(labels) == len(left) * len(right):
            return "grid"
    found = [_SWEEP.fullmatch(label) for label in labels]
    stems = {match["stem"] for match in found if match}
    if all(found) and len(stems) == 1 and len(labels) >= 3 and min(_values(labels).values()) > 0:
        return "sweep"
    return "rows"


def described(kept: Mapping[str, Any]) -> str:
    """The plot in words, for those who cannot see it."""
    metric = metric_of(kept)
    words = {
        "starts": "{} by epoch of fine-tuning from the moment of insertion, one line per start",
        "grid": "{} of every pair of options as a heat map",
        "sweep": "{} and cost over the values of one option",
        "rows": f"{{}} of every {metric.network} with its 95 % interval and every seed",
    }
    title = metric.title
    begun = title if title != title.lower() else title[0].upper() + title[1:]
    return words[shape_of(kept)].format(begun)


def scores_by_seed(kept: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    """The scores of a kept study, as they were measured, by label and seed."""
    scores: Mapping[str, Mapping[str, float]] = kept[metric_of(kept).by_seed]
    return scores


def _blank(width: float, height: float) -> Any:
    figure = new_figure(width, height, dpi=110)
    figure.set_layout_engine("constrained")
    return figure


def _gated(kept: Mapping[str, Any]) -> list[str]:
    return [label for label in scores_by_seed(kept) if label not in (NONE, WIDER)]


def _values(labels: list[str]) -> dict[str, float]:
    return {label: float(label.rsplit("-", 1)[1]) for label in labels}


def _option(kept: Mapping[str, Any], label: str, word: str, turn: int = 0) -> str:
    """The option that a word of a label is the value of; with several, the first or the last."""
    options = kept.get("options", {}).get(label, {})
    named = [key for key, value in options.items() if str(value) == word]
    return str(named[turn]) if named else ""


def _mean(kept: Mapping[str, Any], label: str) -> tuple[float, float]:
    """Mean and half width in the unit; NaN, which is not drawn, where one seed tells no spread."""
    one, unit = kept["estimates"][label], _unit(kept)
    return unit.scale * one["mean"], _half(one["half_width"], unit)


def _half(half_width: float | None, unit: Unit) -> float:
    return math.nan if half_width is None else unit.scale * half_width


def _unit(kept: Mapping[str, Any]) -> Unit:
    return metric_of(kept).unit


def _seeds(kept: Mapping[str, Any], label: str) -> list[float]:
    """The score of every seed in the unit."""
    return [_unit(kept).scale * value for value in scores_by_seed(kept)[label].values()]


def _told(mean: float, half: float, unit: Unit) -> str:
    """A mean, with its half width if that is known."""
    shown = f"{mean:.{unit.digits}f}"
    return shown if math.isnan(half) else f"{shown} \N{PLUS-MINUS SIGN} {half:.{unit.digits}f}"


def _ends(mean: float, half: float, unit: Unit) -> tuple[float, float]:
    """The ends of an interval, as far as a score can reach."""
    known = 0.0 if math.isnan(half) else half
    return unit.within(mean - known), unit.within(mean + known)


def _plain(ax: Any, kept: Mapping[str, Any], along: str) -> None:
    """The plain network as a line with the band of its interval."""
    mean, half = _mean(kept, NONE)
    line, band = (ax.axvline, ax.axvspan) if along == "x" else (ax.axhline, ax.axhspan)
    if not math.isnan(half):
        band(mean - half, mean + half, color=GRAY, alpha=0.15, lw=0)
    line(mean, color=GRAY, lw=1.2, ls="--", label=NONE)


def _rows(kept: Mapping[str, Any]) -> Any:
    """Accuracy with intervals against label."""
    labels = list(scores_by_seed(kept))
    figure = _blank(7.2, 0.9 + 0.34 * len(labels))
    ax = figure.subplots()
    _plain(ax, kept, "x")
    for place, label in enumerate(labels):
        mean, half = _mean(kept, label)
        color = GRAY if label in (NONE, WIDER) else _BLUE
        seeds = _seeds(kept, label)
        ax.plot(seeds, [place] * len(seeds), "|", color=color, ms=9, alpha=0.6)
        ax.errorbar(mean, place, xerr=half, fmt="o", color=color, capsize=3, ms=5)
    _bounded(ax, kept, labels)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlabel(f"{metric_of(kept).axis}: mean, 95 % interval, and every seed")
    ax.grid(axis="x", alpha=0.3)
    return figure


def _bounded(ax: Any, kept: Mapping[str, Any], labels: list[str]) -> None:
    """Show every seed and as much of the intervals as a score can reach."""
    unit = _unit(kept)
    ends = [end for label in labels for end in _ends(*_mean(kept, label), unit)]
    seeds = [value for label in labels for value in _seeds(kept, label)]
    low, high = min(*ends, *seeds), max(*ends, *seeds)
    room = 0.04 * max(high - low, 0.01 * unit.scale)
    ax.set_xlim(low - room, high + room)


def _sweep(kept: Mapping[str, Any]) -> Any:
    """Accuracy above, cost below, over the values of an option on a log axis."""
    values = dict(sorted(_values(_gated(kept)).items(), key=lambda item: item[1]))
    labels, x = list(values), list(values.values())
    figure = _blank(7.2, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _plain(top, kept, "y")
    means, halves = zip(*(_mean(kept, label) for label in labels), strict=True)
    for label, value in values.items():
        seeds = _seeds(kept, label)
        top.plot([value] * len(seeds), seeds, "_", color=_BLUE, ms=9, alpha=0.6)
    top.errorbar(x, means, yerr=halves, fmt="o-", color=_BLUE, capsize=3, ms=5, label="with gates")
    unit = _unit(kept)
    found = (_ends(mean, half, unit) for mean, half in zip(means, halves, strict=True))
    ends, tops = zip(*found, strict=True)
    plain, _ = _mean(kept, NONE)
    room = 0.06 * max(max(tops) - min(*ends, plain), 0.01 * unit.scale)
    top.set_ylim(min(*ends, plain) - room, max(*tops, plain) + room)
    top.set_ylabel(metric_of(kept).axis)
    top.legend(loc="best", frameon=False)
    for key, name, color, dot in (
        ("macs", "MACs", _GREEN, "^"),
        ("forward_ms", "forward time", _ORANGE, "s"),
        ("step_ms", "training step", "#CC79A7", "D"),
    ):
        y = [kept["costs"][label][key] / kept["costs"][NONE][key] for label in labels]
        bottom.plot(x, y, f"{dot}-", color=color, ms=5, label=name)
    bottom.axhline(1.0, color=GRAY, lw=1.2, ls="--")
    bottom.set_xscale("log")
    bottom.set_xticks(x, [f"{value:g}" for value in x])
    bottom.minorticks_off()
    stem, number = labels[0].rsplit("-", 1)
    bottom.set_xlabel(_option(kept, labels[0], number) or stem)
    bottom.set_ylabel("cost, x none")
    bottom.legend(loc="upper left", frameon=False)
    for ax in (top, bottom):
        ax.grid(alpha=0.3)
    return figure


def _grid(kept: Mapping[str, Any]) -> Any:
    """A heat map of all pairs; the gate as published has a frame."""
    pairs = [tuple(label.split("-")) for label in _gated(kept)]
    rows, columns = (list(dict.fromkeys(pair[side] for pair in pairs)) for side in (0, 1))
    unit = _unit(kept)
    cells = [[_mean(kept, f"{row}-{column}") for column in columns] for row in rows]
    figure = _blank(1.6 + 1.15 * len(columns), 1.3 + 0.62 * len(rows))
    ax = figure.subplots()
    means = [[mean for mean, _ in line] for line in cells]
    shown = ax.imshow(means, cmap="viridis", aspect="auto")
    middle = fmean((min(map(min, means)), max(map(max, means))))
    for i, line in enumerate(cells):
        for j, (mean, half) in enumerate(line):
            color = "white" if mean < middle else "black"
            ax.text(
                j, i, _told(mean, half, unit), ha="center", va="center", color=color, fontsize=8.5
            )
    gate = (kept.get("against") or {}).get("label")
    if gate in _gated(kept):
        row, column = gate.split("-")
        corner = (columns.index(column) - 0.5, rows.index(row) - 0.5)
        patches = require("matplotlib.patches", "train", "a picture")
        ax.add_patch(patches.Rectangle(corner, 1, 1, fill=False, ec=_ORANGE, lw=2.5, gid=gate))
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(f"{metric_of(kept).axis}; none: {_told(*_mean(kept, NONE), unit)}", fontsize=10)
    first = f"{rows[0]}-{columns[0]}"
    ax.set_ylabel(_option(kept, first, rows[0]))
    ax.set_xlabel(_option(kept, first, columns[0], turn=-1))
    figure.colorbar(shown, ax=ax)
    return figure


def _starts(kept: Mapping[str, Any]) -> Any:
    """Accuracy over the epochs of fine-tuning, from the moment of insertion."""
    starts, unit = kept["starts"], _unit(kept)
    figure = _blank(7.2, 4.4)
    ax = figure.subplots()
    if starts["base"]:
        base = unit.scale * fmean(starts["base"].values())
        ax.axhline(base, color=GRAY, lw=1.2, ls="--", label="base")
    for turn, (label, by_epoch) in enumerate(starts["curves"].items()):
        color, dot = LINES[turn % len(LINES)], DOTS[turn % len(DOTS)]
        found = {int(e): estimate(list(seeds.values())) for e, seeds in by_epoch.items()}
        x = sorted(found)
        mean = [unit.scale * found[epoch].mean for epoch in x]
        half = [_half(found[epoch].half_width, unit) for epoch in x]
        # A small step aside per line, so that intervals do not hide each other.
        aside = [epoch + 0.03 * (turn - len(starts["curves"]) / 2) for epoch in x]
        ax.errorbar(
            aside, mean, yerr=half, fmt=f"{dot}-", color=color, ms=5, capsize=2, label=label
        )
    last = max(int(epoch) for by_epoch in starts["curves"].values() for epoch in by_epoch)
    ax.set_xticks(range(last + 1), ["inserted", *map(str, range(1, last + 1))])
    low, high = ax.get_ylim()
    ax.set_ylim(max(0.0, low), min(1.01 * unit.top, high))
    ax.set_xlabel("epoch of fine-tuning")
    ax.set_ylabel(f"{metric_of(kept).axis}, 95 % intervals")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, ncols=2)
    return figure

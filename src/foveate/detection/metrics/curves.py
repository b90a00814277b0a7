"""Precision over recall, and every class, as one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foveate.core import require
from foveate.core.files import write_bytes

_COLORS = {"0.50": "#0072B2", "0.75": "#E69F00", "0.50:0.95": "#000000"}


def draw_curves(result: Mapping[str, Any], file: str | Path) -> Path:
    """Draw the curves and the classes of a result as a PNG.

    Args:
        result: What ``BoxScores.as_dict`` returned, or a result that holds it.
        file: Where to.

    Raises:
        ImportError: If matplotlib is missing.
    """
    figures: Any = require("matplotlib.figure", "train", "draw_curves")
    agg: Any = require("matplotlib.backends.backend_agg", "train", "draw_curves")
    classes = [one for one in result["per_class"] if one["ap"] is not None]
    height = max(3.4, 0.24 * len(classes) + 1.2)
    figure = figures.Figure(figsize=(8.4, height), dpi=140, layout="constrained")
    agg.FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    # Each class, at an overlap of 0.50, behind their mean; of very many nothing could be seen.
    faint = {"color": _COLORS["0.50"], "alpha": 0.25, "linewidth": 0.7}
    for one in classes if 1 < len(classes) <= 20 else ():
        left.plot(*_points(one.get("curve", [])), **faint)
    for title, line in result["curves"].items():
        left.plot(*_points(line), color=_COLORS.get(title), label=title.replace(":", " to "))
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    left.set_box_aspect(1)
    left.set_anchor("N")
    if result["curves"]:
        above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3}
        left.legend(frameon=False, title="at an overlap of", columnspacing=1.2, **above)
    names = [one["name"] for one in classes]
    places = list(range(len(names)))
    right.barh(places, [100 * (one["ap50"] or 0) for one in classes], color="#BBCCDD", label="AP50")
    right.barh(
        places, [100 * one["ap"] for one in classes], height=0.5, color="#0072B2", label="AP"
    )
    right.set_yticks(places, names)
    right.set(xlabel="%", xlim=(0, 100), ylim=(len(names) - 0.4, -0.6))
    right.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    for text in figure.findobj(require("matplotlib.text", "train", "draw_curves").Text):
        text.set_parse_math(False)  # A class may have dollars in its name.
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(Path(file), buffer.getvalue())
    return Path(file)


def _points(line: Sequence[float]) -> tuple[list[float], Sequence[float]]:
    """Recalls and precisions of a curve."""
    return [place / max(1, len(line) - 1) for place in range(len(line))], line

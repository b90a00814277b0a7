"""Time and memory against pixels as a picture, readable on white and on black."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from foveate.bench.contest import BOTH, FORWARD
from foveate.bench.result import Result, Row
from foveate.bench.scaling import growth
from foveate.bench.tables import scaling_quantities
from foveate.core import require

# A gray and three colors that keep a contrast of 3 to white and to black, and differ in brightness
# and marker for color-blind eyes.
TEXT, GRID = "#7a828e", "#7a828e55"
STYLES = {"gate": ("#0a84d6", "o"), "self-attention": ("#d9541e", "s"), "conv3x3": ("#7a828e", "^")}


def scaling_png(result: Result) -> bytes:
    """Draw the scaling suite: forward, step, and memory of the step, in doubly logarithmic axes.

    Raises:
        ImportError: If matplotlib is missing.
    """
    figure_module = require("matplotlib.figure", "train", "the picture")
    require("matplotlib.backends.backend_agg", "train", "the picture")
    rows = [row for row in result.rows if row.suite == "scaling"]
    figure = figure_module.Figure(figsize=(10.5, 4.5), dpi=100)
    axes = figure.subplots(1, 3)
    for ax, (title, mode, quantity) in zip(axes, scaling_quantities(result), strict=True):
        _draw(ax, [row for row in rows if row.mode == mode], quantity)
        unit = title.split(", ")[1]
        name = {FORWARD: "forward pass", BOTH: "training step"}[mode]
        ax.set_title(f"{name}, {unit}", color=TEXT, fontsize=11)
    figure.tight_layout(pad=0.6, w_pad=1.6)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return buffer.getvalue()


def _draw(ax: Any, rows: Sequence[Row], quantity: str) -> None:
    for variant in dict.fromkeys(row.variant for row in rows):
        points: dict[int, float] = {}
        for row in rows:
            value = getattr(row, quantity)
            if row.variant == variant and value:
                pixels = row.shape[2] * row.shape[3]
                points[pixels] = min(value, points.get(pixels, value))
        if not points:
            continue
        color, marker = STYLES.get(variant, (TEXT, "x"))
        law = growth(rows, variant, rows[0].mode, quantity)
        label = f"{variant}, exponent {law.exponent:.2f}" if law else variant
        ax.plot(list(points), list(points.values()), color=color, marker=marker, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("pixels", color=TEXT)
    ax.grid(True, which="major", color=GRID, linewidth=0.6)
    ax.tick_params(which="both", colors=TEXT)
    for side in ax.spines.values():
        side.set_color(TEXT)
    ax.legend(
        fontsize=9,
        labelcolor=TEXT,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),  # Below: no corner of the axes is free for sure.
    )

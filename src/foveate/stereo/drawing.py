"""Disparities in color: near is warm, far is cool, what is not known is black."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from foveate.core import expected, require
from foveate.data.pairs import StereoSample

COLORS, ERRORS = "turbo", "magma"
"""Color maps of matplotlib, of disparities and of their errors."""
WORST = 5.0
"""The error in pixels from which on pictures show no more of it."""


def colored(
    disparity: Tensor, top: float | None = None, known: Tensor | None = None
) -> NDArray[np.uint8]:
    """Return a disparity in color.

    Args:
        disparity: (H, W) in pixels.
        top: The disparity that has the last color; None takes the largest that is known.
        known: (H, W) bool; None is everywhere.

    Returns:
        (H, W, 3).

    Raises:
        ValueError: If ``top`` is not above 0.
        ImportError: If matplotlib is missing.
    """
    if top is not None and not top > 0:
        raise ValueError(expected("colored", "a largest disparity above 0", top))
    values = disparity.detach().cpu().double().numpy()
    mask = np.ones(values.shape, bool) if known is None else known.cpu().numpy()
    most = float(values[mask].max(initial=0.0)) if top is None else top
    maps: Any = require("matplotlib", "train", "colored disparities").colormaps
    shades = maps[COLORS](np.clip(values / (most or 1.0), 0, 1))[..., :3]
    pixels: NDArray[np.uint8] = np.rint(255 * shades * mask[..., None]).astype(np.uint8)
    return pixels


def draw_sheet(pair: StereoSample, found: Mapping[str, Tensor]) -> bytes:
    """Draw a pair, the truth, and what each network finds with how far it is off, as a PNG.

    Args:
        pair: What they looked at.
        found: (H, W) in pixels, by label.

    Raises:
        ImportError: If matplotlib is missing.
    """
    figures = require("matplotlib.figure", "train", "a picture")
    height, width = pair.disparity.shape
    across, side = 2 + len(found), 2.3
    tall = 2 * (side * height / width + 0.34)
    figure = figures.Figure(figsize=(side * across, tall), dpi=100, layout="constrained")
    require("matplotlib.backends.backend_agg", "train", "a picture").FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = figure.subplots(2, across)
    top = float(pair.disparity.max()) or 1.0
    hidden = pair.valid if pair.occluded is None else pair.valid & ~pair.occluded
    shown = [
        ("left", pair.left.permute(1, 2, 0), {}),
        ("true disparity", colored(pair.disparity, top, pair.valid), {}),
        *((label, colored(one, top), {}) for label, one in found.items()),
        ("right", pair.right.permute(1, 2, 0), {}),
        ("white: seen by both", hidden, {"cmap": "gray", "vmin": 0, "vmax": 1}),
    ]
    for one in found.values():
        gap = ((one - pair.disparity).abs() * pair.valid).numpy()
        told = f"error, to {WORST:g} px: {gap[pair.valid.numpy()].mean():.2f}"
        shown.append((told, gap, {"cmap": ERRORS, "vmin": 0, "vmax": WORST}))
    for ax, (title, pixels, options) in zip(axes.flat, shown, strict=True):
        ax.imshow(np.asarray(pixels), interpolation="nearest", **options)
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()

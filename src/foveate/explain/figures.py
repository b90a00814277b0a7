"""Pictures of what a network looks at: images, Grad-CAM, sampling points.

Every function draws into matplotlib axes that the caller made; pyplot and its global state are
not used. Colors are those of Okabe and Ito, which color-blind readers can tell apart, and each
stage has its own marker beside its own color.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import torch
from torch import Tensor

from foveate.core import expected, require
from foveate.explain.sampling import SitePoints

STAGES = (("#E69F00", "o"), ("#56B4E9", "s"), ("#009E73", "^"), ("#F0E442", "D"), ("#CC79A7", "v"))


def new_figure(width: float = 3.0, height: float = 3.0, dpi: int = 140) -> Any:
    """An empty matplotlib figure that draws without a display.

    Args:
        width: Inches.
        height: Inches.
        dpi: Pixels per inch.
    """
    figure = require("matplotlib.figure", "train", "a picture").Figure(
        figsize=(width, height), dpi=dpi
    )
    require("matplotlib.backends.backend_agg", "train", "a picture").FigureCanvasAgg(figure)
    return figure


def take_literally(figure: Any) -> None:
    """Draw all text of a figure as it stands: a class or a folder may have dollars in its name."""
    kind = require("matplotlib.text", "train", "a picture").Text
    for text in figure.findobj(kind):
        text.set_parse_math(False)


def png_bytes(figure: Any, colors: int | None = 256) -> bytes:
    """Render a figure as PNG, with a palette of ``colors`` to keep a page of many pictures small.

    The palette is an octree's: small bright parts, objects and markers, keep their color, which a
    palette by frequency would trade for shades of the background.

    Args:
        figure: A matplotlib figure.
        colors: Size of the palette, at most 256; None keeps all colors.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    if colors is None:
        return buffer.getvalue()
    image = require("PIL.Image", "train", "a picture").open(buffer).convert("RGB")
    small = BytesIO()
    octree = require("PIL.Image", "train", "a picture").Quantize.FASTOCTREE
    image.quantize(colors, method=octree).save(small, format="png", optimize=True)
    return small.getvalue()


def draw_image(ax: Any, image: Tensor, dim: float = 0.0) -> None:
    """Draw an image.

    Args:
        ax: Axes to draw into.
        image: (3, H, W) uint8.
        dim: How far to fade towards gray, in [0, 1], so that what is drawn above stands out.
    """
    if image.dim() != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        got = f"{tuple(image.shape)} {image.dtype}"
        raise ValueError(expected("draw_image", "an image (3, H, W) of uint8", got))
    shown = image.permute(1, 2, 0).float() / 255
    shown = shown * (1 - dim) + 0.35 * dim
    ax.imshow(shown.numpy(), interpolation="nearest")
    _frame(ax, image)


def draw_heat(ax: Any, image: Tensor, heat: Tensor) -> None:
    """Lay a map in [0, 1] over the image: cold parts fade to gray, hot parts glow.

    Args:
        ax: Axes to draw into.
        image: (3, H, W) uint8.
        heat: (H, W) in [0, 1].
    """
    if heat.shape != image.shape[1:]:
        rule = f"a map of the image's size {tuple(image.shape[1:])}"
        raise ValueError(expected("draw_heat", rule, tuple(heat.shape)))
    draw_image(ax, image, dim=0.35)
    value = heat.float().numpy()
    ax.imshow(value, cmap="inferno", vmin=0, vmax=1, alpha=0.1 + 0.65 * value)
    _frame(ax, image)


def draw_points(
    ax: Any,
    image: Tensor,
    sites: Sequence[SitePoints],
    index: int,
) -> int:
    """Draw where gates sample to compute one output position; one color and marker per gate.

    A line leads from each place of the regular 3 x 3 grid to the place that is read instead. The
    white cross is the output position asked for, in the finest map.

    Args:
        ax: Axes to draw into.
        image: (3, H, W) uint8.
        sites: What ``sampling_points`` returned.
        index: Which image of the batch.

    Returns:
        How many points lie outside the image; a gate reads zero there, and they are not drawn.
    """
    effects = require("matplotlib.patheffects", "train", "a picture")
    outline = [effects.withStroke(linewidth=2.4, foreground="black")]
    draw_image(ax, image, dim=0.45)
    height, width = image.shape[-2:]
    outside = 0
    for number, site in enumerate(sites):
        color, marker = STAGES[number % len(STAGES)]
        points, regular = site.points[index].cpu(), site.regular[index].cpu()
        inside = ((points > -1) & (points < torch.tensor([height, width]))).all(1)
        outside += int((~inside).sum())
        for start, end in zip(regular.tolist(), points.tolist(), strict=True):
            ax.plot((start[1], end[1]), (start[0], end[0]), color=color, linewidth=0.9, alpha=0.75)
        y, x = points[inside].unbind(1)
        ax.scatter(
            x.tolist(),
            y.tolist(),
            s=30 if number < 4 else 24,
            c=color,
            marker=marker,
            edgecolors="black",
            linewidths=0.8,
            label=f"{site.site} ({site.map_size[0]}x{site.map_size[1]})",
            zorder=3,
        )
    if sites:
        y0, x0 = sites[0].query[index].tolist()
        ax.plot(
            [x0], [y0], "+", color="white", markersize=11, markeredgewidth=1.6, zorder=4,
            path_effects=outline,
        )  # fmt: skip
    _frame(ax, image)
    return outside


def _frame(ax: Any, image: Tensor) -> None:
    height, width = image.shape[-2:]
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    ax.set_xticks([])
    ax.set_yticks([])

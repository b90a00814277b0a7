"""Shapes as signed distances, drawn with soft edges into a small window of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating[Any]]
_Shape = Callable[[Plane, Plane], Plane]


def _disc(u: Plane, v: Plane) -> Plane:
    return 0.9 - np.hypot(u, v)


def _ring(u: Plane, v: Plane) -> Plane:
    return 0.24 - np.abs(np.hypot(u, v) - 0.72)


def _bar(u: Plane, v: Plane, length: float = 1.0, width: float = 0.3) -> Plane:
    inside: Plane = np.minimum(length - np.abs(u), width - np.abs(v))
    return inside


def _cross(u: Plane, v: Plane) -> Plane:
    return np.maximum(_bar(u, v), _bar(v, u))


def _square(u: Plane, v: Plane) -> Plane:
    outside: Plane = np.maximum(np.abs(u), np.abs(v))
    return 0.75 - outside


def _triangle(u: Plane, v: Plane) -> Plane:
    outside: Plane = np.maximum(0.866 * np.abs(u) - 0.5 * v, v)
    return 0.5 - outside


def _star(u: Plane, v: Plane) -> Plane:
    # Fold the plane onto one half spike; its edge runs from the tip to the notch.
    spike = math.pi / 5
    angle = np.abs(np.mod(np.arctan2(v, u) + spike, 2 * spike) - spike)
    radius = np.hypot(u, v)
    notch = (0.42 * math.cos(spike), 0.42 * math.sin(spike))
    length = math.hypot(notch[1], 1.0 - notch[0])
    normal = (notch[1] / length, (1.0 - notch[0]) / length)
    outside: Plane = radius * (normal[0] * np.cos(angle) + normal[1] * np.sin(angle))
    return normal[0] - outside


def _crescent(u: Plane, v: Plane) -> Plane:
    left: Plane = np.minimum(0.95 - np.hypot(u, v), np.hypot(u - 0.5, v) - 0.72)
    return left


SHAPES: dict[str, _Shape] = {
    "disc": _disc,
    "cross": _cross,
    "triangle": _triangle,
    "ring": _ring,
    "bar": _bar,
    "star": _star,
    "square": _square,
    "crescent": _crescent,
}
"""Signed distance of each shape, positive inside, on coordinates in units of its radius."""


@dataclass(frozen=True)
class Stamp:
    """What is painted into a window of the image.

    Attributes:
        top: First row of the window.
        left: First column of the window.
        alpha: (h, w) float32 cover in [0, 1].
        color: (3,) or (3, h, w) float32 in [0, 1].
    """

    top: int
    left: int
    alpha: Plane
    color: Plane


def stamp_shape(
    shape: str,
    center: tuple[float, float],
    radius: float,
    angle: float,
    color: Sequence[float],
    size: int,
) -> Stamp:
    """Draw one shape.

    Args:
        shape: A key of ``SHAPES``.
        center: Row and column of its center, in pixels (the first pixel spans 0 to 1).
        radius: In pixels.
        angle: In radians.
        color: Red, green, blue in [0, 1].
        size: Side of the image in pixels.

    Returns:
        The stamp, cut off at the image's edges; a pixel's cover is the signed distance of its
        center from the outline, clipped to half a pixel on either side.
    """
    y, x = center
    reach = radius + 1
    top, bottom = max(0, math.floor(y - reach)), min(size, math.ceil(y + reach))
    left, right = max(0, math.floor(x - reach)), min(size, math.ceil(x + reach))
    rows = ((np.arange(top, max(top, bottom)) + 0.5 - y) / radius).astype(np.float32)[:, None]
    columns = ((np.arange(left, max(left, right)) + 0.5 - x) / radius).astype(np.float32)[None]
    cosine, sine = math.cos(angle), math.sin(angle)
    inside = SHAPES[shape](cosine * columns + sine * rows, cosine * rows - sine * columns)
    alpha = np.clip(inside * radius + 0.5, 0.0, 1.0).astype(np.float32)
    return Stamp(top, left, alpha, np.asarray(color, dtype=np.float32))


def paint_(canvas: Plane, stamp: Stamp, opacity: float = 1.0) -> None:
    """Blend ``stamp`` into the (3, H, W) canvas."""
    height, width = stamp.alpha.shape
    window = canvas[:, stamp.top : stamp.top + height, stamp.left : stamp.left + width]
    color = stamp.color if stamp.color.ndim == 3 else stamp.color[:, None, None]
    window += (stamp.alpha * np.float32(opacity)) * (color - window)


def stamp_mask(stamp: Stamp, size: int) -> NDArray[np.bool_]:
    """Return the (size, size) mask of the pixels that the stamp covers by half or more."""
    mask = np.zeros((size, size), dtype=np.bool_)
    height, width = stamp.alpha.shape
    mask[stamp.top : stamp.top + height, stamp.left : stamp.left + width] = stamp.alpha >= 0.5
    return mask

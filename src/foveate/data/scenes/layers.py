"""Flat textured layers at their own depths, seen by two rectified cameras.

Everything is a function of real positions, so both views are drawn without resampling one another:
a layer whose disparity is d shows in the right view at x - d exactly what the left one shows at x,
for any d. Positions count as in ``shapes``: the first pixel spans 0 to 1, its center is 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveate.data.scenes.shapes import SHAPES, Plane

VISIBLE = 0.5
"""A layer is what a pixel shows if it covers it by so much and no nearer one does."""


def reach_of(radius: float) -> float:
    """Return how far from its center, in pixels, a shape may cover anything: squares have corners.

    Example:
        >>> reach_of(10.0)
        12.0
    """
    return 1.1 * radius + 1


@dataclass(frozen=True)
class Layer:
    """A plane of disparity with a texture; lengths in pixels of the left view.

    Attributes:
        shape: A key of ``SHAPES``; None covers everything.
        center: Row and column.
        radius: Of the shape.
        angle: In radians.
        disparity: At the center.
        slant: Change of the disparity by pixel, along columns and along rows; the former below 1.
        texture: (3, h, w) float32 in [0, 1], a texel a pixel, its middle at the center.
    """

    shape: str | None
    center: tuple[float, float]
    radius: float
    angle: float
    disparity: float
    slant: tuple[float, float]
    texture: Plane

    def disparity_at(self, y: Plane, x: Plane) -> Plane:
        """Return the disparity at positions of the left view."""
        across, down = self.slant
        found: Plane = self.disparity + across * (x - self.center[1]) + down * (y - self.center[0])
        return found

    def from_right(self, y: Plane, x: Plane) -> Plane:
        """Return the column of the left view that the right one shows at column ``x``."""
        # x_right = x - disparity(x) is linear in x, and disparity(0) its part without x.
        found: Plane = (x + self.disparity_at(y, np.zeros(1))) / (1 - self.slant[0])
        return found

    def is_near(self, y: Plane, x: Plane) -> NDArray[np.bool_]:
        """Whether positions of the left view, of one shape, lie within reach of the layer."""
        if self.shape is None:
            return np.ones(y.shape, dtype=np.bool_)
        reach = reach_of(self.radius)
        across: NDArray[np.bool_] = np.abs(x - self.center[1]) < reach
        down: NDArray[np.bool_] = np.abs(y - self.center[0]) < reach
        return np.logical_and(across, down)

    def cover(self, y: Plane, x: Plane) -> Plane:
        """Return by how much the layer covers pixels at positions of the left view, in [0, 1]."""
        if self.shape is None:
            return np.ones(y.shape)
        u, v = (x - self.center[1]) / self.radius, (y - self.center[0]) / self.radius
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        inside = SHAPES[self.shape](cosine * u + sine * v, cosine * v - sine * u)
        found: Plane = np.clip(inside * self.radius + 0.5, 0.0, 1.0)
        return found

    def color(self, y: Plane, x: Plane) -> Plane:
        """Return the texture at positions of the left view: (3, ...), linear between texels."""
        height, width = self.texture.shape[1:]
        rows = np.clip(y - self.center[0] + (height - 1) / 2, 0, height - 1)
        columns = np.clip(x - self.center[1] + (width - 1) / 2, 0, width - 1)
        top, left = (np.floor(place).astype(np.intp) for place in (rows, columns))
        bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
        down, across = rows - top, columns - left
        upper = self.texture[:, top, left] * (1 - across) + self.texture[:, top, right] * across
        lower = (
            self.texture[:, bottom, left] * (1 - across) + self.texture[:, bottom, right] * across
        )
        found: Plane = upper * (1 - down) + lower * down
        return found


def paint_view(layers: Sequence[Layer], y: Plane, x: Plane, *, right: bool) -> Plane:
    """Paint a view at any positions of its own.

    Args:
        layers: From far to near; the first covers everything.
        y: Rows, broadcast with ``x``.
        x: Columns.
        right: Whether it is the right view.

    Returns:
        (3, ...) float64 in [0, 1].
    """
    y, x = np.broadcast_arrays(y, x)
    canvas = np.zeros((3, *y.shape))
    for layer in layers:
        columns = layer.from_right(y, x) if right else x
        near = layer.is_near(y, columns)
        there = y[near], columns[near]
        canvas[:, near] += layer.cover(*there) * (layer.color(*there) - canvas[:, near])
    return canvas


def disparity_of(
    layers: Sequence[Layer], y: Plane, x: Plane, width: int
) -> tuple[Plane, NDArray[np.bool_]]:
    """Return the disparity of what the left view shows, and whether the right one hides it.

    Args:
        layers: From far to near; the first covers everything.
        y: Rows, broadcast with ``x``.
        x: Columns of the left view.
        width: Of the views; beyond the centers of its outer pixels the right one shows nothing.

    Returns:
        The disparity in pixels, and a mask of what a nearer layer hides in the right view or its
        edges cut off.
    """
    y, x = np.broadcast_arrays(y, x)
    shown, disparity = np.zeros(y.shape, dtype=np.intp), np.zeros(y.shape)
    for place, layer in enumerate(layers):
        seen = _shows(layer, y, x)
        shown[seen] = place
        disparity = np.where(seen, layer.disparity_at(y, x), disparity)
    there = x - disparity
    hidden = (there < 0.5) | (there > width - 0.5)
    for place, layer in enumerate(layers):
        hidden |= (shown < place) & _shows(layer, y, layer.from_right(y, there))
    return disparity, hidden


def _shows(layer: Layer, y: Plane, x: Plane) -> NDArray[np.bool_]:
    """Whether a layer covers positions of the left view enough to be what they show."""
    near = layer.is_near(y, x)
    seen: NDArray[np.bool_] = np.zeros(y.shape, dtype=np.bool_)
    seen[near] = layer.cover(y[near], x[near]) >= VISIBLE
    return seen

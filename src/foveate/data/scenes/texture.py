"""Muted backgrounds: smooth noise in octaves, stripes and grain between two near colors."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from foveate.data.scenes.shapes import Plane

_OCTAVES = ((3, 0.5), (6, 0.3), (13, 0.15), (27, 0.1))
_GRAIN = 0.05


@lru_cache(maxsize=64)
def _enlarge(cells: int, size: int) -> Plane:
    """Return the (size, cells) matrix of linear interpolation from ``cells`` knots."""
    place = np.linspace(0, cells - 1, size)
    low = np.minimum(place.astype(int), cells - 2)
    matrix = np.zeros((size, cells), dtype=np.float32)
    matrix[np.arange(size), low] = 1 - (place - low)
    matrix[np.arange(size), low + 1] = place - low
    return matrix


def muted_color(draws: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return red, green, blue of low saturation and middle value from three draws in [0, 1)."""
    hue, saturation, value = (float(draw) for draw in draws)
    return colorsys.hsv_to_rgb(hue, 0.08 + 0.25 * saturation, 0.28 + 0.4 * value)


def paint_texture(
    rng: np.random.Generator,
    size: int,
    contrast: float,
    octaves: Sequence[tuple[int, float]] = _OCTAVES,
) -> Plane:
    """Paint a background.

    Args:
        rng: Source of the draws; only ``random`` is called, whose stream numpy keeps stable.
        size: Side in pixels.
        contrast: 0 gives one flat color, 1 the full texture.
        octaves: Knots along a side, and weight, of each layer of the noise.

    Returns:
        (3, size, size) float32 in [0, 1].
    """
    head = rng.random(10)
    first = np.asarray(muted_color(head[:3]), dtype=np.float32)
    near = np.array(
        [head[0] + 0.2 * (head[3] - 0.5), head[4], (head[2] + 0.35 + 0.3 * head[5]) % 1]
    )
    second = np.asarray(muted_color(near), dtype=np.float32)
    mix = np.full((size, size), -0.1, dtype=np.float32)
    for cells, weight in octaves:
        matrix = _enlarge(cells, size)
        mix += np.float32(weight) * (
            matrix @ rng.random((cells, cells), dtype=np.float32) @ matrix.T
        )
    angle, waves = math.pi * head[6], 3 + 9 * head[7]
    line = np.linspace(0, 2 * math.pi * waves, size, dtype=np.float32)
    phase = math.cos(angle) * line[:, None] + math.sin(angle) * line[None]
    mix += np.float32(0.12 * head[8]) * np.sin(phase)
    grain = np.float32(_GRAIN) * (rng.random((size, size), dtype=np.float32) - 0.5)
    flat = first[:, None, None]
    texture = (second - first)[:, None, None] * mix + grain
    painted: Plane = np.clip(flat + np.float32(contrast) * texture, 0, 1).astype(np.float32)
    return painted

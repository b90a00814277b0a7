"""Every form of a mask in COCO's JSON: polygons, run lengths, and run lengths as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data.coco import decode_mask


def expand_runs(text: str) -> list[int]:
    """Return the run lengths that COCO's text stands for.

    Each number is written five bits a letter, the lowest first, as code 48 and up; 32 is added to
    every letter of a number but its last, and 16 in the last is its sign. From the fourth on, a
    number is the difference from the one two places before.

    Raises:
        ValueError: If the text ends inside a number, or has other letters.

    Example:
        >>> expand_runs("13")
        [1, 3]
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter) - 48
        if not 0 <= code < 64:
            raise ValueError(f"letter {letter!r} in run lengths")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("run lengths that end inside a number")
    return runs


def fill_polygon(corners: Sequence[float], height: int, width: int) -> Tensor:
    """Return the (height, width) bool mask of the pixels whose centers lie inside a polygon.

    Where the outline crosses itself, what it encloses twice is outside. COCO's own tools round
    the outline to pixels instead, which moves an edge by up to one pixel.

    Args:
        corners: x1 y1 x2 y2 and so on in pixels, three corners or more; they may lie outside.
        height: Rows.
        width: Columns.

    Raises:
        ValueError: If there are fewer corners, half of one, or numbers that are not finite.

    Example:
        >>> fill_polygon([0, 0, 2, 0, 2, 1, 0, 1], 2, 3).tolist()
        [[True, True, False], [False, False, False]]
    """
    values = np.asarray(corners, dtype=np.float64)
    if values.ndim != 1 or values.size < 6 or values.size % 2 or not np.isfinite(values).all():
        raise ValueError(f"a polygon of {values.size} numbers")
    start = values.reshape(-1, 2)
    end = np.roll(start, -1, axis=0)
    rows = np.arange(height) + 0.5
    edges, crossed = np.nonzero((start[:, 1:] <= rows) != (end[:, 1:] <= rows))
    (x1, y1), (x2, y2) = start[edges].T, end[edges].T
    at = x1 + (rows[crossed] - y1) * (x2 - x1) / (y2 - y1)
    # Every pixel whose center is right of a crossing changes sides.
    turns = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(turns, (crossed, np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)), 1)
    return torch.from_numpy(np.cumsum(turns, axis=1)[:, :width] % 2 == 1)


def fill_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return the (B, height, width) bool masks of the pixels whose centers lie in each box.

    Args:
        boxes: (B, 4), half-open x1 y1 x2 y2 in pixels; parts outside and empty boxes give
            nothing.
        height: Rows.
        width: Columns.

    Example:
        >>> fill_boxes(torch.tensor([[1.0, 0.0, 9.0, 1.0]]), 2, 3).tolist()
        [[[False, True, True], [False, False, False]]]
    """
    x1, y1, x2, y2 = boxes.reshape(-1, 4, 1).unbind(1)
    xs, ys = torch.arange(width) + 0.5, torch.arange(height) + 0.5
    rows, columns = (y1 <= ys) & (ys < y2), (x1 <= xs) & (xs < x2)
    return rows[:, :, None] & columns[:, None, :]


def decode_segmentation(segmentation: Any, height: int, width: int) -> Tensor:
    """Return the (height, width) bool mask of an entry's ``segmentation``.

    Args:
        segmentation: A list of polygons (their union is meant), or run lengths, as numbers or as
            text.
        height: Of the image.
        width: Of the image.

    Raises:
        ValueError: If it is none of these, or of another size.
    """
    if isinstance(segmentation, list):
        mask = torch.zeros(height, width, dtype=torch.bool)
        for corners in segmentation:
            mask |= fill_polygon(corners, height, width)
        return mask
    if not isinstance(segmentation, dict) or segmentation.get("size") != [height, width]:
        raise ValueError(f"a mask that is none of an image of {height}x{width}")
    counts = segmentation.get("counts")
    runs = expand_runs(counts) if isinstance(counts, str) else counts
    if isinstance(runs, list) and any(run < 0 for run in runs):
        raise ValueError("run lengths below 0")
    return decode_mask({"size": [height, width], "counts": runs})

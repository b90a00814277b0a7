"""Every form of a mask in COCO's JSON: polygons, run lengths, and run lengths as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.data.coco import decode_mask

_AT_ONCE, _CROSSINGS = 1 << 22, 1 << 28
"""Crossings of an outline and rows of pixels, at a time and in all."""


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
        ValueError: If there are fewer corners, half of one, numbers that are not finite, or so many
            long edges that filling it would take minutes.

    Example:
        >>> fill_polygon([0, 0, 2, 0, 2, 1, 0, 1], 2, 3).tolist()
        [[True, True, False], [False, False, False]]
    """
    try:
        values = np.asarray(corners, dtype=np.float64)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"a polygon of other things than numbers: {error}") from error
    if values.ndim != 1 or values.size < 6 or values.size % 2 or not np.isfinite(values).all():
        raise ValueError(f"a polygon of {values.size} numbers")
    start = values.reshape(-1, 2)
    end = np.roll(start, -1, axis=0)
    top, bottom = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    # The rows whose centers lie between the ends of each edge.
    first, last = (
        np.clip(np.ceil(edge - 0.5), 0, height).astype(np.int64) for edge in (top, bottom)
    )
    spans = last - first
    if spans.sum() > _CROSSINGS:
        raise ValueError(f"a polygon that crosses rows {spans.sum()} times")
    turns = np.zeros((height, width + 1), dtype=np.int64)
    # Some edges at a time, each once for every row that it crosses.
    for some in np.split(np.arange(len(start)), _cuts(spans)):
        edges = np.repeat(some, spans[some])
        within = np.arange(len(edges)) - np.repeat(
            np.cumsum(spans[some]) - spans[some], spans[some]
        )
        crossed = first[edges] + within
        (x1, y1), (x2, y2) = start[edges].T, end[edges].T
        at = x1 + (crossed + 0.5 - y1) * (x2 - x1) / (y2 - y1)
        # Every pixel whose center is right of a crossing changes sides.
        np.add.at(turns, (crossed, np.clip(np.ceil(at - 0.5), 0, width).astype(np.int64)), 1)
    return torch.from_numpy(np.cumsum(turns, axis=1)[:, :width] % 2 == 1)


def _cuts(spans: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where to part edges, so that few parts have more than ``_AT_ONCE`` crossings."""
    return np.flatnonzero(np.diff(np.cumsum(spans) // _AT_ONCE)) + 1


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

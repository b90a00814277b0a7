"""Boxes drawn on images, with their classes and scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.core import expected
from foveate.data.sheets import COLORS, FONT, as_picture, as_png, factor_for, pillow, sheet
from foveate.data.sheets import font as letters

_DARK = "#0072B2"
"""The one color that takes white letters."""

Panel = tuple[str, Tensor, Tensor, Tensor | None]
"""A title, boxes (M, 4), labels (M,), and scores (M,) or None for what was annotated."""
_Place = tuple[float, float, float, float]


def draw_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: Tensor,
    scores: Tensor | None = None,
    *,
    classes: Sequence[str],
) -> bytes:
    """Draw boxes on an image, as a PNG.

    Args:
        image: (3, H, W) uint8; a small one is enlarged, a large one shrunk.
        boxes: (M, 4), x1 y1 x2 y2 in its pixels.
        labels: (M,) integers, places among ``classes``.
        scores: (M,), the best first; None for what was annotated, which is drawn dashed.
        classes: Names.

    Raises:
        ValueError: If the image is none, there are not as many boxes as labels and scores, a box is
            not finite, or a label has no class.
        ImportError: If Pillow is missing.
    """
    return as_png(_panel(image, boxes, labels, scores, classes))


def draw_sheet(image: Tensor, panels: Sequence[Panel], *, classes: Sequence[str]) -> bytes:
    """Draw one image several times side by side, each time with other boxes, as a PNG.

    Args:
        image: (3, H, W) uint8.
        panels: What is drawn, each under its title.
        classes: Names.

    Raises:
        ValueError: If there is no panel; or as :func:`draw_boxes`.
    """
    drawn = [(one[0], _panel(image, *one[1:], classes=classes)) for one in panels]
    return sheet(drawn)


def _panel(
    image: Tensor, boxes: Tensor, labels: Tensor, scores: Tensor | None, classes: Sequence[str]
) -> Any:
    """Draw one panel as a picture of Pillow."""
    _check(image, boxes, labels, scores, classes)
    factor = factor_for(image)
    picture = as_picture(image, factor)
    size = picture.size
    pen, font = pillow("ImageDraw").Draw(picture), letters(max(FONT, max(size) // 64))
    # What lies far outside ends just outside.
    edges = (boxes * factor).clamp(-9, max(size) + 9).tolist()
    colors = [COLORS[n % len(COLORS)] for n in labels.tolist()]
    texts = [classes[n] for n in labels.tolist()]
    if scores is not None:
        told = zip(texts, scores.tolist(), strict=True)
        texts = [f"{text} {100 * score:.0f}" for text, score in told]
    # The best chooses its tag's place first and is drawn last; no line goes through a tag.
    taken: list[_Place] = []
    for text, box in zip(texts, edges, strict=True):
        taken.append(_place_of_tag(pen.textbbox((0, 0), text, font=font), box, size, taken))
    for box, color in reversed(list(zip(edges, colors, strict=True))):
        _rectangle(pen, box, color, dashed=scores is None)
    for place, text, color in reversed(list(zip(taken, texts, colors, strict=True))):
        left, top, *_ = pen.textbbox((0, 0), text, font=font)
        pen.rectangle(place, fill=color)
        ink = "white" if color == _DARK else "black"
        pen.text((place[0] + 3 - left, place[1] + 3 - top), text, fill=ink, font=font)
    return picture


def _check(
    image: Tensor, boxes: Tensor, labels: Tensor, scores: Tensor | None, classes: Sequence[str]
) -> None:
    """Refuse what cannot be drawn."""
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8 or not image.numel():
        got = (tuple(image.shape), image.dtype)
        raise ValueError(expected("draw_boxes", "an image (3, H, W) uint8", got))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(expected("draw_boxes", "boxes (M, 4)", tuple(boxes.shape)))
    if not boxes.isfinite().all():
        raise ValueError(expected("draw_boxes", "finite boxes", boxes.tolist()))
    counts = {len(boxes), len(labels), len(boxes if scores is None else scores)}
    if len(counts) > 1:
        rule = "as many boxes as labels and scores"
        raise ValueError(expected("draw_boxes", rule, sorted(counts)))
    unknown = sorted({label for label in labels.tolist() if not 0 <= label < len(classes)})
    if unknown:
        raise ValueError(expected("draw_boxes", f"labels in 0..{len(classes) - 1}", unknown))


def _rectangle(pen: Any, edges: Sequence[float], color: str, *, dashed: bool) -> None:
    """Draw a box with a dark rim, so that it shows on every ground."""
    x1, y1, x2, y2 = edges
    corners = ((x1, y1, x2, y1), (x2, y1, x2, y2), (x2, y2, x1, y2), (x1, y2, x1, y1))
    for ink, width in (("black", 4), (color, 2)):
        for line in corners:
            for piece in _dashes(line) if dashed else (line,):
                pen.line(piece, fill=ink, width=width)


def _dashes(line: Sequence[float], length: float = 7.0) -> list[tuple[float, ...]]:
    """Cut a line into every other piece of a length."""
    ax, ay, bx, by = line
    whole = max(abs(bx - ax), abs(by - ay))
    count = max(1, round(whole / length / 2))
    steps = [(place / count, (place + 0.55) / count) for place in range(count)]
    return [
        (ax + (bx - ax) * a, ay + (by - ay) * a, ax + (bx - ax) * b, ay + (by - ay) * b)
        for a, b in steps
    ]


def _place_of_tag(
    text: Sequence[float], edges: Sequence[float], size: Sequence[int], taken: Sequence[_Place]
) -> _Place:
    """Find where a tag stands: above its box, below it or inside, where no other tag is."""
    width, height = text[2] - text[0] + 6, text[3] - text[1] + 6
    x = min(max(0.0, edges[0]), max(0.0, size[0] - width))
    rows = (edges[1] - height, edges[3], edges[1], edges[3] - height)
    inside = [y for y in rows if 0 <= y <= size[1] - height]
    inside = inside or [min(max(0.0, edges[1]), max(0.0, size[1] - height))]
    places = [(x, y, x + width, y + height) for y in inside]
    free = [place for place in places if not any(_meet(place, other) for other in taken)]
    return (free or places)[0]


def _meet(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

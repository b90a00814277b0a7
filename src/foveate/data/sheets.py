"""Pictures of images side by side, under titles: what every task draws of its results."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from foveate.core import expected, require

COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")
"""By number, over and over: those of Okabe and Ito, which color-blind readers can tell apart."""
SMALLEST = 320
"""Longer side in pixels to which smaller images are enlarged, by whole factors."""
FONT = 13
_LARGEST = 1333
_BACK = (24, 24, 27)


def pillow(part: str) -> Any:
    """A module of Pillow.

    Raises:
        ImportError: If it is missing.
    """
    return require(f"PIL.{part}", "models", "drawing pictures")


def font(size: int) -> Any:
    """The letters of all pictures."""
    return pillow("ImageFont").load_default(size)


def factor_for(image: Tensor) -> float:
    """By how much an image (..., H, W) is enlarged, a whole number, or shrunk to be looked at."""
    side = max(image.shape[-2:])
    return float(max(1, -(-SMALLEST // side))) if side < SMALLEST else min(1.0, _LARGEST / side)


def as_picture(image: Tensor, factor: float) -> Any:
    """Turn (3, H, W) uint8 into a picture of Pillow, enlarged by pixels or shrunk.

    Args:
        image: What is shown.
        factor: As of :func:`factor_for`.
    """
    images = pillow("Image")
    picture = images.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    size = tuple(max(1, round(edge * factor)) for edge in picture.size)
    return picture.resize(size, images.LANCZOS if factor < 1 else images.NEAREST)


def sheet(panels: Sequence[tuple[str, Any]], notes: Sequence[tuple[str, str]] = ()) -> bytes:
    """Lay pictures of one size side by side, each under its title, as a PNG.

    Args:
        panels: Titles and pictures.
        notes: Colors and what they stand for, below the pictures.

    Raises:
        ValueError: If there is no panel.
    """
    if not panels:
        raise ValueError(expected("sheet", "at least one panel", 0))
    width, height = panels[0][1].size
    # Few in a row for wide images, so that a report shows them without shrinking much.
    across = min(len(panels), max(1, 1600 // width), 4)
    down, head, gap = -(-len(panels) // across), FONT + 10, 8
    across = -(-len(panels) // down)  # Six are three and three, not four and two.
    wide = across * (width + gap) - gap
    rows = _rows(notes, wide)
    tall = down * (height + head + gap) - gap
    below = (len(rows) * (FONT + 10) + gap) if rows else 0
    made = pillow("Image").new("RGB", (wide, tall + below), _BACK)
    pen = pillow("ImageDraw").Draw(made)
    for place, (title, picture) in enumerate(panels):
        left = (place % across) * (width + gap)
        top = (place // across) * (height + head + gap)
        pen.text((left + 4, top + 4), _fitting(title, width - 8), fill="white", font=font(FONT))
        made.paste(picture, (left, top + head))
    for turn, row in enumerate(rows):
        top = tall + gap + turn * (FONT + 10)
        for left, color, words in row:
            pen.rectangle((left, top + 2, left + FONT, top + 2 + FONT), fill=color, outline="white")
            pen.text((left + FONT + 6, top), words, fill="white", font=font(FONT))
    return as_png(made)


def as_png(picture: Any, **options: Any) -> bytes:
    """The bytes of a picture as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "png", **options)
    return buffer.getvalue()


def _rows(notes: Sequence[tuple[str, str]], wide: float) -> list[list[tuple[float, str, str]]]:
    """Break a legend into rows of places, colors and words."""
    rows: list[list[tuple[float, str, str]]] = []
    left = wide
    for color, words in notes:
        words = _fitting(words, wide - FONT - 12)
        needed = FONT + 22 + font(FONT).getlength(words)
        if not rows or left + needed - 16 > wide:
            rows.append([])
            left = 4.0
        rows[-1].append((left, color, words))
        left += needed
    return rows


def _fitting(title: str, width: float) -> str:
    """Cut a title where its panel ends."""
    letters = font(FONT)
    if letters.getlength(title) <= width:
        return title
    while title and letters.getlength(f"{title}...") > width:
        title = title[:-1]
    return f"{title}..."

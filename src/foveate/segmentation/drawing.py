"""Class maps in color, over their images or alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.core import expected
from foveate.data.sheets import COLORS, as_picture, as_png, factor_for, pillow, sheet
from foveate.segmentation.data.samples import BACKGROUND, IGNORED

_CLEAR = 0.4
"""How much of the image shows through the color of a class."""
_NOBODYS = (128, 128, 128)


def palette(classes: Sequence[str]) -> Tensor:
    """The color of every class, (256, 3) uint8: black for a background, gray for what is ignored.

    Colors repeat after seven classes, lighter, then darker.
    """
    table = torch.full((256, 3), 0, dtype=torch.uint8)
    start = 1 if classes and classes[0] == BACKGROUND else 0
    for turn in range(start, min(len(classes), IGNORED)):
        round_, place = divmod(turn - start, len(COLORS))
        color = torch.tensor([int(COLORS[place][at : at + 2], 16) for at in (1, 3, 5)])
        shift = (0.0, 0.5, -0.4)[round_ % 3]
        color = color + shift * (255 - color) if shift > 0 else color * (1 + shift)
        table[turn] = color.round().to(torch.uint8)
    table[IGNORED] = torch.tensor(_NOBODYS, dtype=torch.uint8)
    return table


def overlay(image: Tensor, classes: Tensor, names: Sequence[str]) -> Tensor:
    """Color an image by its classes; a background stays as it is.

    Args:
        image: (3, H, W) uint8.
        classes: (H, W) uint8.
        names: Of the classes.

    Returns:
        (3, H, W) uint8.

    Raises:
        ValueError: If the sizes differ.
    """
    if image.shape[1:] != classes.shape:
        got = (tuple(image.shape), tuple(classes.shape))
        raise ValueError(expected("overlay", "an image and a map of one size", got))
    painted = palette(names)[classes.long()].permute(2, 0, 1).float()
    mixed = _CLEAR * image.float() + (1 - _CLEAR) * painted
    bare = (classes == 0) if names and names[0] == BACKGROUND else torch.zeros_like(classes) > 0
    return torch.where(bare, image.float(), mixed).round().to(torch.uint8)


def mask_png(classes: Tensor, names: Sequence[str]) -> bytes:
    """A class map (H, W) uint8 as a PNG whose pixels are class numbers, with a palette."""
    made: Any = pillow("Image").fromarray(classes.contiguous().cpu().numpy())
    made.putpalette(palette(names).flatten().tolist())
    return as_png(made)


def draw_maps_sheet(
    image: Tensor, panels: Sequence[tuple[str, Tensor]], names: Sequence[str]
) -> bytes:
    """Draw an image as it is and then once under each map, with a legend, as a PNG.

    Args:
        image: (3, H, W) uint8.
        panels: Titles and maps (H, W) uint8.
        names: Of the classes.
    """
    factor, table = factor_for(image), palette(names)
    shown = [("image", as_picture(image, factor))]
    shown += [(title, as_picture(overlay(image, one, names), factor)) for title, one in panels]
    bare = {0} if names[0] == BACKGROUND else set()
    present = sorted({int(n) for _, one in panels for n in torch.unique(one).tolist()} - bare)
    words = [("ignored" if number == IGNORED else names[number]) for number in present]
    colors = [f"#{bytes(table[number].tolist()).hex()}" for number in present]
    return sheet(shown, list(zip(colors, words, strict=True)))

"""Masks as PNG files, small pictures for the contact sheet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from foveate.core import require
from foveate.data.images import open_image

SIDE = 360
"""Longer side in pixels of a picture on the contact sheet."""

_WHO = "drawing regions"


def _pillow() -> Any:
    return require("PIL.Image", "models", _WHO)


def _encode(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def mask_png(mask: Tensor) -> bytes:
    """Return an (H, W) bool mask as a PNG, white on black."""
    grey = mask.cpu().numpy().astype(np.uint8) * 255
    return _encode(_pillow().fromarray(grey).convert("1"), "png")


def read_mask(source: Path | bytes) -> Tensor:
    """Return what is white in a picture as an (H, W) bool mask.

    A pixel counts if it is lighter than mid-grey and not more clear than opaque.

    Raises:
        UnreadableImageError: If it cannot be read.
    """
    picture = open_image(source)
    clear = picture.convert("RGBA")
    light = np.asarray(clear.convert("L")) > 127
    return torch.from_numpy(light & (np.asarray(clear.getchannel("A")) > 127))


def small_jpeg(image: Tensor) -> bytes:
    """Return a (3, H, W) uint8 image as a JPEG of at most ``SIDE`` pixels a side."""
    picture = _pillow().fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    picture.thumbnail((SIDE, SIDE))
    return _encode(picture, "jpeg", quality=82)


def shrink_mask(mask: Tensor, grow: bool = False) -> Tensor:
    """Return an (H, W) bool mask with a longer side of at most ``SIDE``, or just so if ``grow``.

    A mask that is not empty keeps a pixel at least.
    """
    scale = SIDE / max(mask.shape)
    if scale >= 1 and not grow:
        return mask
    height, width = (max(1, round(side * scale)) for side in mask.shape)
    wide = mask.float()[None, None]
    if scale >= 1:
        return interpolate(wide, (height, width), mode="nearest")[0, 0] > 0
    small = interpolate(wide, (height, width), mode="area")[0, 0]
    return small >= min(0.5, small.max().item() or 0.5)


def _grow(mask: Tensor, reach: int) -> Tensor:
    """Return an (H, W) bool mask grown by ``reach`` pixels, along one side and then the other."""
    wide, side = mask.float()[None, None], 2 * reach + 1
    tall = max_pool2d(wide, (1, side), 1, (0, reach))
    return max_pool2d(tall, (side, 1), 1, (reach, 0))[0, 0] > 0


def outline_png(mask: Tensor) -> bytes:
    """Return a picture to lay over a small one: darker outside the mask, and its outline.

    Args:
        mask: (H, W) bool.

    Returns:
        A PNG with an alpha channel; its longer side is ``SIDE``, whatever the mask's is.
    """
    small = shrink_mask(mask, grow=True)
    near, far = (_grow(small, reach) & ~small for reach in (2, 3))
    # Clear on the object, dark outside, black behind the outline, and the outline.
    colors = torch.where(small, 0, 1)
    colors[far] = 2
    colors[near] = 3
    picture = _pillow().fromarray(colors.to(torch.uint8).numpy()).convert("P")
    picture.putpalette([0, 0, 0, 12, 14, 20, 0, 0, 0, 255, 214, 10])
    return _encode(picture, "png", transparency=bytes([0, 120, 255, 255]), bits=2)

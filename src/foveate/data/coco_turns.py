"""Masks and boxes of photos that lie on their side, turned upright as the photos are."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor

from foveate.core import require
from foveate.data.images import FORMATS, UnreadableImageError

_ORIENTATION = 0x0112


def stored_size(content: bytes) -> tuple[tuple[int, int], int]:
    """Return the height and width of an image as its file stores it, and its EXIF orientation.

    Only the head is read. The orientation is 1, upright, where the file has none.

    Raises:
        UnreadableImageError: If this is no image.
    """
    pillow = require("PIL.Image", "models", "reading image files")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(io.BytesIO(content), formats=FORMATS) as image:
                turn = image.getexif().get(_ORIENTATION, 1)
                return (image.height, image.width), turn if turn in range(1, 9) else 1
    # Pillow's plug-ins answer broken files with whatever went wrong inside them.
    except Exception as error:
        raise UnreadableImageError(str(error) or type(error).__name__) from error


def turn_masks(masks: Tensor, turn: int) -> Tensor:
    """Turn (B, H, W) masks as an image of EXIF orientation ``turn``, 1 to 8, is turned upright.

    Example:
        >>> turn_masks(torch.tensor([[[1, 2, 3]]]), 6).shape
        torch.Size([1, 3, 1])
    """
    if turn in (2, 3, 7, 8):
        masks = masks.flip(2)
    if turn in (3, 4, 6, 7):
        masks = masks.flip(1)
    return masks.transpose(1, 2) if turn >= 5 else masks


def turn_boxes(boxes: Tensor, size: tuple[int, int], turn: int) -> Tensor:
    """Turn (B, 4) boxes of an image stored with height and width ``size`` as ``turn_masks`` does.

    Example:
        >>> turn_boxes(torch.tensor([[0.0, 0.0, 1.0, 2.0]]), (2, 3), 6).tolist()
        [[0.0, 0.0, 2.0, 1.0]]
    """
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(1)
    if turn in (2, 3, 7, 8):
        x1, x2 = width - x2, width - x1
    if turn in (3, 4, 6, 7):
        y1, y2 = height - y2, height - y1
    return torch.stack((y1, x1, y2, x2) if turn >= 5 else (x1, y1, x2, y2), dim=1)

"""Where samples read: a feature map as rows of channels inside a frame of zeros, cut into tiles.

The frame makes every bound check needless. Coordinates are clamped to two pixels before the map and
to the first one behind it, where all four neighbors are zeros; the columns of zeros on the left of
a row also stand on the right of the row above.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry, coordinate_dtype

# Columns of one tile; small enough for a second-level cache and its matrix product to be good.
TILE_BYTES = 4 << 20
_BEFORE, _AFTER_ROWS = 2, 3


@dataclass(frozen=True)
class Frame:
    """Sizes of the framed map.

    Attributes:
        height: Rows of pixels of the map itself.
        width: Columns of pixels of the map itself.
        groups: Offset groups D; a pixel has D rows of C / D channels.
    """

    height: int
    width: int
    groups: int

    @property
    def pitch(self) -> int:
        """Pixels from one framed row to the next."""
        return self.width + _BEFORE

    @property
    def pixels(self) -> int:
        """Pixels of one framed image."""
        return (self.height + _BEFORE + _AFTER_ROWS) * self.pitch

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Distance in rows to the four neighbors: top left, top right, bottom left and right."""
        return 0, self.groups, self.pitch * self.groups, (self.pitch + 1) * self.groups

    @property
    def origin(self) -> int:
        """Pixel 0 of the map among the framed pixels."""
        return _BEFORE * self.pitch + _BEFORE

    @property
    def low(self) -> int:
        """Least coordinate, on both axes."""
        return -_BEFORE

    def add(self, input: Tensor) -> Tensor:
        """Return the framed rows of a map, (N * pixels * D, C / D), in float32 at least."""
        batch, channels = input.shape[:2]
        wide = coordinate_dtype(input)
        shape = (batch, self.height + _BEFORE + _AFTER_ROWS, self.pitch, channels)
        framed = torch.zeros(shape, dtype=wide, device=input.device)
        self._inside(framed).copy_(input.permute(0, 2, 3, 1))
        return framed.view(-1, channels // self.groups)

    def remove(self, rows: Tensor, batch: int, channels: int) -> Tensor:
        """Return the map inside framed rows, (N, C, H, W), a view."""
        framed = rows.view(batch, self.height + _BEFORE + _AFTER_ROWS, self.pitch, channels)
        return self._inside(framed).permute(0, 3, 1, 2)

    def _inside(self, framed: Tensor) -> Tensor:
        return framed[:, _BEFORE : _BEFORE + self.height, _BEFORE:]


@dataclass(frozen=True)
class Tile:
    """Some output pixels: whole images, or a part of one.

    Attributes:
        images: First image and the one after the last.
        pixels: First output pixel of each and the one after the last.
        rows: The same as rows of the output matrix (N * H' * W', C').
    """

    images: tuple[int, int]
    pixels: tuple[int, int]
    rows: slice

    @property
    def count(self) -> int:
        """Number of output pixels."""
        images, pixels = self.images, self.pixels
        return (images[1] - images[0]) * (pixels[1] - pixels[0])


def tiles(batch: int, channels: int, itemsize: int, geometry: Geometry) -> Iterator[Tile]:
    """Cut the output into tiles of nearly equal size; never by the number of threads.

    Args:
        batch: Images N.
        channels: Channels C of the input.
        itemsize: Bytes of a value of the columns.
        geometry: The sizes.
    """
    pixels = geometry.out[0] * geometry.out[1]
    most = max(1, TILE_BYTES // (geometry.taps * channels * itemsize))
    if pixels <= most:
        step = -(-batch // -(-batch // (most // pixels))) if batch else 1
        for image in range(0, batch, step):
            last = min(image + step, batch)
            yield Tile((image, last), (0, pixels), slice(image * pixels, last * pixels))
        return
    parts = -(-pixels // most)
    step = -(-pixels // parts)
    for image in range(batch):
        for first in range(0, pixels, step):
            last = min(first + step, pixels)
            base = image * pixels
            yield Tile((image, image + 1), (first, last), slice(base + first, base + last))

"""From maps to rows and back: sections, padding, strides. Plain tensor code."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from foveate.ops.deform.arguments import Geometry

# Rows of half precision then start on 16 bytes, which is one load of a thread.
_ALIGNED = 8


@dataclass(frozen=True)
class Sections:
    """The finest split of input channels with one offset group and one weight group each.

    Attributes:
        count: Sections S, the least common multiple of both groups.
        channels: Input channels of one.
        width: The same, padded.
        outputs: Output channels of one weight group.
    """

    count: int
    channels: int
    width: int
    outputs: int


def sections_of(input: Tensor, weight: Tensor, geometry: Geometry) -> Sections:
    """Split the input channels."""
    count = math.lcm(geometry.groups, geometry.offset_groups)
    channels = input.shape[1] // count
    width = -(-channels // _ALIGNED) * _ALIGNED
    return Sections(count, channels, width, weight.shape[0] // geometry.groups)


def pack_rows(x: Tensor, sections: Sections) -> Tensor:
    """(N, C, H, W) to rows (N, H, W, S, R), without a copy where nothing has to move."""
    batch, _, height, width = x.shape
    # A view in every memory format, and a copy in none.
    rows = x.permute(0, 2, 3, 1).view(batch, height, width, sections.count, sections.channels)
    missing = sections.width - sections.channels
    return (functional.pad(rows, (0, missing)) if missing else rows).contiguous()


def unpack_rows(rows: Tensor, sections: Sections, like: Tensor) -> Tensor:
    """Undo ``pack_rows``: rows to a map of the dtype and memory format of ``like``."""
    narrow = rows[..., : sections.channels].flatten(3).permute(0, 3, 1, 2)
    return torch.empty_like(like).copy_(narrow)


def pack_weight(weight: Tensor, sections: Sections, geometry: Geometry) -> Tensor:
    """(C', C / G, kh, kw) to (G, K, C' / G), K = (sections of the group, taps, R)."""
    per_group = sections.count // geometry.groups
    split = weight.reshape(
        geometry.groups, sections.outputs, per_group, sections.channels, geometry.taps
    ).permute(0, 2, 4, 3, 1)
    padded = functional.pad(split, (0, 0, 0, sections.width - sections.channels))
    return padded.reshape(geometry.groups, -1, sections.outputs).contiguous()


def unpack_weight(packed: Tensor, like: Tensor, sections: Sections, geometry: Geometry) -> Tensor:
    """Undo ``pack_weight``, in the dtype of ``like``."""
    per_group = sections.count // geometry.groups
    split = packed.reshape(
        geometry.groups, per_group, geometry.taps, sections.width, sections.outputs
    )
    split = split[:, :, :, : sections.channels].permute(0, 4, 1, 3, 2)
    return split.reshape(like.shape).to(like.dtype).contiguous()


def flat(x: Tensor) -> tuple[Tensor, int, int, int]:
    """A map, copied if need be, whose pixels have one stride; and strides of image, channel, pixel.

    Strides of axes of size one are free in torch and are not looked at.
    """
    height, width = x.shape[2:]
    if height != 1 and width != 1 and x.stride(2) != width * x.stride(3):
        x = x.contiguous()
    return x, x.stride(0), x.stride(1), x.stride(2) if width == 1 else x.stride(3)

"""Maps as rows of channels, and back in the memory layout of another map."""

from __future__ import annotations

import torch
from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether neighbors in memory are channels; from strides, which ``vmap`` can tell."""
    _, channels, _, width = x.shape
    _, of_channel, of_row, of_column = x.stride()
    return of_channel == 1 and of_column == channels > 1 and of_row == width * channels


def to_rows(x: Tensor) -> Tensor:
    """Return (N, C, H, W) as (N * H * W, C), without a copy if it is channels-last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def from_rows(rows: Tensor, like: Tensor) -> Tensor:
    """Return rows as a map of the size of ``like``, channels-last if that is, else contiguous."""
    batch, _, height, width = like.shape
    map_ = rows.view(batch, height, width, rows.shape[-1]).permute(0, 3, 1, 2)
    return map_ if is_channels_last(like) else map_.contiguous()


def like_rows(like: Tensor) -> Tensor:
    """Return an empty map with the strides that :func:`from_rows` gives."""
    last = is_channels_last(like)
    layout = torch.channels_last if last else torch.contiguous_format
    return torch.empty_like(like, memory_format=layout)


def quick_layout(x: Tensor) -> Tensor:
    """Return the map in the layout that the fast operators want: channels-last."""
    return x if is_channels_last(x) else x.contiguous(memory_format=torch.channels_last)


def as_laid_out(map_: Tensor, like: Tensor) -> Tensor:
    """Return a map channels-last if another one is, else contiguous."""
    return map_ if is_channels_last(like) else map_.contiguous()

"""The norms of table 5, by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.place import shared_groups
from foveate.ops import channel_layer_norm
from foveate.ops.modules import InstanceNorm

NORMS = ("none", "batch", "instance", "layer", "group")
GROUPS = 32
"""Most groups of a group norm; that of Wu and He, Group Normalization, arXiv:1803.08494."""


class ChannelLayerNorm(nn.Module):
    """LayerNorm over the channels of each pixel of (N, C, H, W)."""

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each pixel."""
        return channel_layer_norm(x, self.weight, self.bias, self.eps)


def norm_groups(channels: int) -> int:
    """Groups of the group norm: as many as 32 equal ones, of two channels or more.

    Of one channel each it would be an InstanceNorm. A prime number of channels is one group.

    Example:
        >>> [norm_groups(channels) for channels in (1, 12, 25, 64, 409)]
        [1, 6, 5, 32, 1]
    """
    return shared_groups(channels, max(1, min(GROUPS, channels // 2)))


def make_norm(kind: str, channels: int, eps: float = 1e-5, affine: bool = True) -> nn.Module:
    """Make a norm of (N, C, H, W).

    Args:
        kind: ``"none"``; ``"batch"``, with running statistics; ``"instance"``; ``"layer"``, over
            the channels of each pixel; ``"group"``, see :func:`norm_groups`.
        channels: Channels C.
        eps: Added to the variances.
        affine: Learned scale and shift per channel.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps, affine=affine)
    if kind == "layer":
        return ChannelLayerNorm(channels, eps, affine)
    if kind == "group":
        return nn.GroupNorm(norm_groups(channels), channels, eps, affine)
    if kind == "instance":
        # One channel a group is the same, and its scale and shift are seen by every counter.
        return nn.GroupNorm(channels, channels, eps) if affine else InstanceNorm(channels, eps)
    return nn.Identity()

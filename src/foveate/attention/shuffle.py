"""Shuffle attention: half the channels of each group gated by their means, half by position.

Paper: Zhang and Yang, SA-Net: Shuffle Attention for Deep Convolutional Neural Networks,
arXiv:2102.00240, eq. 1-5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.place import shared_groups
from foveate.attention.registry import Official, register
from foveate.core import (
    Words,
    check_channel_multiple,
    check_feature_map,
    check_positive_int,
    expected,
)

_WHO = "ShuffleAttention"


def _groups(channels: int, groups: int | None) -> int:
    """Return the groups that are asked for, by default the most up to 64; refuse unequal ones."""
    check_channel_multiple(_WHO, channels, 2)
    most = shared_groups(channels // 2, 64)
    if groups is None:
        return most
    if channels % (2 * check_positive_int(_WHO, "groups", groups)):
        got = Words(f"groups={groups} for {channels} channels")
        rule = "groups of an equal and even number of channels"
        raise ValueError(expected(_WHO, rule, got, f"groups={most} is the default here"))
    return groups


def _params(channels: int, groups: int | None = None) -> int:
    return 3 * channels // _groups(channels, groups)


@register(
    name="shuffle",
    title="Shuffle attention",
    kind="both",
    paper="2102.00240",
    year=2021,
    site="post_norm",
    params=_params,
    channel_multiple=2,
    official=Official("wofmanaf/SA-Net", "00a6760", "models/sa_resnet.py", "none"),
    departs=(
        "groups are the most up to the paper's 64 that divide the channels, as 64 do not always",
    ),
    verified=(
        "formula and gradients in float64; nothing recorded, as the official code has no license",
    ),
    aliases=("sa",),
)
class ShuffleAttention(nn.Module):
    r"""Shuffle attention, $y = \mathrm{shuffle}(x \cdot \sigma(w\,s(x) + b))$.

    Every group of C / G channels has two halves. In the first, $s$ is the mean of the channel; in
    the second, the channel normalized over its positions, with a scale and a shift of its own.
    All groups share these weights, 6 for each channel of a half. The shuffle interleaves the
    first C / 2 channels with the others, so this is never an identity: it starts as 0.731 times
    the shuffled map.

    Args:
        channels: Channels C of the input, a multiple of 2.
        groups: Groups G, such that C is a multiple of 2 G; None takes the most up to 64.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` is odd, an argument below 1, or C no multiple of 2 G; in
            ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> ShuffleAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, groups: int | None = None) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        self.groups = _groups(channels, groups)
        half = channels // (2 * self.groups)
        self.norm_weight = nn.Parameter(torch.ones(half))
        self.norm_bias = nn.Parameter(torch.zeros(half))
        self.channel_weight = nn.Parameter(torch.zeros(half))
        self.channel_bias = nn.Parameter(torch.ones(half))
        self.position_weight = nn.Parameter(torch.zeros(half))
        self.position_bias = nn.Parameter(torch.ones(half))

    def gate(self, x: Tensor) -> Tensor:
        """Return the weights of x before the shuffle, (N, C, H, W) of its dtype, in (0, 1)."""
        check_feature_map(_WHO, x, self.channels)
        halves = torch.unflatten(x, 1, (self.groups, 2, -1))  # (N, G, 2, C / 2G, H, W)
        first, second = halves[:, :, 0], halves[:, :, 1]
        means = first.mean((-2, -1), keepdim=True)
        by_channel = _affine(means, self.channel_weight, self.channel_bias).sigmoid()
        # Not of nn.functional: that refuses a single pixel of a single image, which is defined.
        normed = torch.group_norm(
            second.flatten(1, 2),
            self.channels // 2,
            self.norm_weight.repeat(self.groups),
            self.norm_bias.repeat(self.groups),
        )
        scores = torch.unflatten(normed, 1, (self.groups, -1))
        by_position = _affine(scores, self.position_weight, self.position_bias).sigmoid()
        weights = torch.stack((by_channel.expand_as(by_position), by_position), 2)
        return weights.flatten(1, 3).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every element of x and interleave the two halves of the channels."""
        halves = torch.unflatten(x * self.gate(x), 1, (2, -1))
        return halves.transpose(1, 2).flatten(1, 2)


def _affine(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Scale and shift the channels of (N, G, K, H, W), alike in all groups."""
    return z * weight[:, None, None] + bias[:, None, None]

"""Efficient multi-scale attention: weigh positions, for groups of channels, by two views of them.

Paper: Ouyang et al., Efficient Multi-Scale Attention Module with Cross-Spatial Learning,
arXiv:2305.13563, section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.place import shared_groups
from foveate.attention.registry import Official, register
from foveate.core import Words, check_feature_map, check_positive_int, expected

_FACTOR = 32


def _params(channels: int, groups: int | None = None) -> int:
    width = channels // (groups or shared_groups(channels, _FACTOR))
    return 10 * width * width + 4 * width


@register(
    name="ema",
    title="Efficient multi-scale attention",
    kind="both",
    paper="2305.13563",
    year=2023,
    site="after_conv2",
    params=_params,
    official=Official("YOLOonMe/EMA-attention-module", "afc37ec", "EMA_attention_module", "none"),
    departs=(
        "32 groups as in the authors' code where they divide C, else the largest number below that"
        " does; the code then fails",
        "the authors' MobileNetV2 leaves blocks with at most 144 inner channels without it",
        "the paper does not say where a ResNet has it; after_conv2 is where their MobileNetV2 does",
    ),
    verified=(
        "formula in float64",
        "size of the published MobileNetV2",
        "not the authors' code, which states no license",
    ),
)
class EfficientMultiScaleAttention(nn.Module):
    r"""EMA, $y = x \cdot \sigma(\sum_c a_c R_c + \sum_c b_c L_c)$ within each group of channels.

    Two views of a group: $L$, its rows and columns weighed by their means through one 1x1 layer
    and normalized per channel, and $R$, a 3x3 convolution. Each is summed over its channels with
    the weights that the other one's means give, $a = \mathrm{softmax}(\bar{L})$ and
    $b = \mathrm{softmax}(\bar{R})$. All groups share the layers.

    The norm makes every mean $\bar{L}_c$ its own shift, so $a$ is learned and the same for all
    inputs; it is taken from there.

    Args:
        channels: Channels C of the input, at least 1.
        groups: Groups, a divisor of C; None for 32, or the largest number below that divides C.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1, or ``groups`` does not divide C; in ``forward``, if
            x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> EfficientMultiScaleAttention(64)(torch.rand(2, 64, 7, 5)).shape
        torch.Size([2, 64, 7, 5])
    """

    def __init__(self, channels: int, groups: int | None = None) -> None:
        super().__init__()
        who = "EfficientMultiScaleAttention"
        self.channels = check_positive_int(who, "channels", channels)
        if groups is None:
            groups = shared_groups(channels, _FACTOR)
        if channels % check_positive_int(who, "groups", groups):
            got = Words(f"{groups} for {channels}")
            raise ValueError(expected(who, "groups that divide the channels", got))
        self.groups = groups
        width = channels // groups
        self.lines = nn.Conv2d(width, width, 1)
        self.norm = nn.GroupNorm(width, width)
        self.local = nn.Conv2d(width, width, 3, padding=1)

    def gate(self, x: Tensor) -> Tensor:
        """The weights of the positions for every group, (N, groups, H, W)."""
        check_feature_map("EfficientMultiScaleAttention", x, self.channels)
        height, width = x.shape[2], x.shape[3]
        part = x.reshape(-1, self.channels // self.groups, height, width)
        rows = self.lines(part.mean(3, keepdim=True)).sigmoid()
        columns = self.lines(part.mean(2, keepdim=True)).sigmoid()
        norm = self.norm
        # Not the module's call: it refuses a single pixel of a single group, which is defined.
        weighed = torch.group_norm(
            part * rows * columns, norm.num_groups, norm.weight, norm.bias, norm.eps
        )
        local = self.local(part)
        by_shift = torch.einsum("c,nchw->nhw", norm.bias.softmax(0), local)
        by_mean = torch.einsum("nc,nchw->nhw", local.mean((2, 3)).softmax(1), weighed)
        return (by_shift + by_mean).sigmoid().reshape(-1, self.groups, height, width)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every position of each group of channels of x."""
        weights = self.gate(x)[:, :, None]
        width = self.channels // self.groups
        part = x.reshape(-1, self.groups, width, x.shape[2], x.shape[3])
        return (part * weights).flatten(1, 2).to(x.dtype)

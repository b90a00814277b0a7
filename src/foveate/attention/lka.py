"""Large kernel attention: multiply a map by a convolution of it with a large, thin kernel.

Paper: Guo et al., Visual Attention Network, arXiv:2202.09741, eq. 3-4.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int


def large_kernel(channels: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The depthwise 5x5 and dilated 7x7 convolutions, whose taps reach over 5 + 6 * 3 = 23."""
    near = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
    far = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
    return near, far


def spread_(module: nn.Module) -> None:
    """Start every convolution as the authors do, by its outputs per group, without shifts."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            seen = math.prod(conv.kernel_size) * conv.out_channels // conv.groups
            nn.init.normal_(conv.weight, 0.0, math.sqrt(2.0 / seen))
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)


def _params(channels: int) -> int:
    return channels * channels + 77 * channels


@register(
    name="lka",
    title="Large kernel attention",
    kind="both",
    paper="2202.09741",
    year=2022,
    site="post_norm",
    params=_params,
    official=Official(
        "Visual-Attention-Network/VAN-Classification", "e19779b", "models/van.py", "Apache-2.0"
    ),
    departs=(
        "the paper builds a network of its own around it, between two 1x1 layers and inside a"
        " residual branch; in a CNN post_norm keeps it in the branch too, for its weights are"
        " unbounded and would scale the skip from block to block elsewhere",
    ),
    verified=("formula in float64", "the authors' code (e19779b), recorded"),
)
class LargeKernelAttention(nn.Module):
    r"""Large kernel attention, $y = x \cdot W(k_2 * (k_1 * x))$, without a sigmoid.

    $k_1$ is a depthwise 5x5 kernel, $k_2$ a depthwise 7x7 kernel with dilation 3, $W$ a 1x1 layer;
    all have biases. Together their taps reach over 23x23 positions; the paper counts 21x21, the
    kernel that they are taken from.

    Args:
        channels: Channels C of the input, at least 1.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> LargeKernelAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_positive_int("LargeKernelAttention", "channels", channels)
        self.near, self.far = large_kernel(channels)
        self.point = nn.Conv2d(channels, channels, 1)
        spread_(self)

    def gate(self, x: Tensor) -> Tensor:
        """The weights of all positions, (N, C, H, W), of any size and sign."""
        check_feature_map("LargeKernelAttention", x, self.channels)
        weights: Tensor = self.point(self.far(self.near(x)))
        return weights

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by what surrounds it."""
        return x * self.gate(x)

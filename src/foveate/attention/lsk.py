"""Large selective kernel: choose at every position between the views of two large kernels.

Paper: Li et al., Large Selective Kernel Network for Remote Sensing Object Detection,
arXiv:2303.09030, eq. 2-8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.lka import large_kernel, spread_
from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int


def _params(channels: int) -> int:
    half = max(1, channels // 2)
    return 77 * channels + 3 * channels * half + 2 * half + 198


@register(
    name="lsk",
    title="Large selective kernel",
    kind="both",
    paper="2303.09030",
    year=2023,
    site="post_norm",
    params=_params,
    official=Official(
        "zcablii/LSKNet", "cbe06ca", "mmrotate/models/backbones/lsknet.py", "CC-BY-NC-4.0"
    ),
    departs=(
        "the paper builds a network of its own around it; at post_norm it stays in the residual"
        " branch, as there, and its unbounded weights leave the skip alone",
        "channels of an equal maximum share its gradient; the official code gives it to one",
    ),
    verified=(
        "formula in float64",
        "not the authors' code, whose license forbids commercial use",
    ),
)
class LargeSelectiveKernel(nn.Module):
    r"""LSK, $y = x \cdot W(s_1 \cdot U_1 + s_2 \cdot U_2)$, without a softmax or an outer sigmoid.

    $U_1$ is a depthwise 5x5 convolution of x and $U_2$ a depthwise 7x7 one with dilation 3 of
    that, each brought to half the channels by a 1x1 layer. A 7x7 convolution of the mean and the
    maximum over all their channels and a sigmoid give the two choices $s_1$, $s_2$ of every
    position.

    Args:
        channels: Channels C of the input, at least 1; the views have ``max(1, C // 2)`` each.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> LargeSelectiveKernel(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_positive_int("LargeSelectiveKernel", "channels", channels)
        half = max(1, channels // 2)
        self.near, self.far = large_kernel(channels)
        self.squeeze_near = nn.Conv2d(channels, half, 1)
        self.squeeze_far = nn.Conv2d(channels, half, 1)
        self.choose = nn.Conv2d(2, 2, 7, padding=3)
        self.expand = nn.Conv2d(half, channels, 1)
        spread_(self)

    def choices(self, near: Tensor, far: Tensor) -> Tensor:
        """How much of either view to take at every position, (N, 2, H, W), each in (0, 1)."""
        views = torch.cat([near, far], 1)
        pooled = torch.stack([views.mean(1), views.amax(1)], 1)
        chosen: Tensor = self.choose(pooled)
        return chosen.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by the chosen views of what surrounds it."""
        check_feature_map("LargeSelectiveKernel", x, self.channels)
        seen = self.near(x)
        near, far = self.squeeze_near(seen), self.squeeze_far(self.far(seen))
        chosen = self.choices(near, far)
        weights: Tensor = self.expand(near * chosen[:, :1] + far * chosen[:, 1:])
        return x * weights

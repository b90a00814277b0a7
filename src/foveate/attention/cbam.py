"""Convolutional block attention: channels first, from mean and maximum, then positions.

Paper: Woo et al., CBAM: Convolutional Block Attention Module, arXiv:1807.06521, eq. 1-3.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_odd, check_positive_int, require


def _params(channels: int, reduction: int = 16, kernel: int = 7) -> int:
    hidden = max(1, channels // reduction)
    return 2 * channels * hidden + hidden + channels + 2 * kernel**2 + 2


@register(
    name="cbam",
    title="Convolutional block attention module",
    kind="both",
    paper="1807.06521",
    year=2018,
    site="post_norm",
    params=_params,
    extra="models",
    official=Official("Jongchan/attention-module", "459efad", "MODELS/cbam.py", "MIT"),
    departs=(
        "the spatial kernel sees mean then maximum; the official one maximum then mean",
        "places of an equal maximum share its gradient; the official code gives it to one",
    ),
    verified=("formula and gradients in float64", "the authors' code (459efad), recorded"),
)
class ConvBlockAttention(nn.Module):
    r"""CBAM, $y = M_s(x') \cdot x'$ with $x' = M_c(x) \cdot x$.

    $M_c$ is a shared MLP with biases on the mean and the maximum of every channel, $M_s$ a
    convolution and a BatchNorm over the mean and maximum of every position. The BatchNorm has
    momentum 0.01 and starts with scale 0, so that $M_s$ starts at one half; the kernel and the
    biases start as in the official network too.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of the hidden layer; its width is ``max(1, C // reduction)``.
        kernel: Odd size of the spatial kernel.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. In training a 1x1 map needs N > 1, as
          BatchNorm over positions needs two; torch raises ValueError for one.

    Raises:
        ValueError: If an argument is below 1 or the kernel is even; in ``forward``, if x is not
            (N, C, H, W).
        ImportError: If timm, whose layer it is, is not installed.

    Example:
        >>> import torch
        >>> ConvBlockAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        who = "ConvBlockAttention"
        self.channels = check_positive_int(who, "channels", channels)
        check_positive_int(who, "reduction", reduction)
        check_odd(who, "kernel", kernel)
        layers: Any = require("timm.layers.cbam", "models", who)
        hidden = max(1, channels // reduction)
        self.layer: Any = layers.CbamModule(
            channels, rd_channels=hidden, spatial_kernel_size=kernel, mlp_bias=True
        )
        spatial = self.layer.spatial.conv
        spatial.bn.momentum = 0.01
        nn.init.zeros_(spatial.bn.weight)
        nn.init.kaiming_normal_(spatial.conv.weight, mode="fan_out")
        for fc in (self.layer.channel.fc1, self.layer.channel.fc2):
            nn.init.zeros_(fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every channel, then every position of x."""
        check_feature_map("ConvBlockAttention", x, self.channels)
        out: Tensor = self.layer(x)
        return out

"""Efficient channel attention: weigh channels by a one-dimensional convolution of their means.

Paper: Wang et al., ECA-Net, arXiv:1910.03151, eq. 5-12.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_odd, check_positive_int, require


def adaptive_kernel(channels: int) -> int:
    """Kernel size from the number of channels, t = |log2(C) + 1| / 2 made odd (eq. 12)."""
    size = int(abs(math.log2(channels) + 1) / 2)
    return size if size % 2 else size + 1


def _params(channels: int, kernel: int | None = None) -> int:
    return adaptive_kernel(channels) if kernel is None else kernel


@register(
    name="eca",
    title="Efficient channel attention",
    kind="channel",
    paper="1910.03151",
    year=2019,
    site="post_norm",
    params=_params,
    extra="models",
    official=Official("BangguWu/ECANet", "b332f6b", "models/eca_module.py", "MIT"),
    departs=("kernel by the paper's formula; the released checkpoints fix 3, 5, 7, 7 per stage",),
)
class EfficientChannelAttention(nn.Module):
    r"""Efficient channel attention, $y = x \cdot \sigma(\mathrm{conv1d}_k(\bar{x}))$.

    Args:
        channels: Channels C of the input, at least 1.
        kernel: Odd kernel size k along the channels; None takes the paper's formula.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` is below 1 or ``kernel`` is even; in ``forward``, if x is not
            (N, C, H, W).
        ImportError: If timm, whose layer it is, is not installed.

    Example:
        >>> import torch
        >>> EfficientChannelAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, kernel: int | None = None) -> None:
        super().__init__()
        who = "EfficientChannelAttention"
        self.channels = check_positive_int(who, "channels", channels)
        size = check_odd(who, "kernel", adaptive_kernel(channels) if kernel is None else kernel)
        layers: Any = require("timm.layers", "models", who)
        # Given channels, timm's class overrides the kernel size by its own formula.
        self.layer: nn.Module = layers.EcaModule(channels=None, kernel_size=size)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every channel of x."""
        check_feature_map("EfficientChannelAttention", x, self.channels)
        out: Tensor = self.layer(x)
        return out

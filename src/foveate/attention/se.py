"""Squeeze-and-excitation: weigh channels by a small MLP of their means.

Paper: Hu et al., Squeeze-and-Excitation Networks, arXiv:1709.01507, eq. 2-4.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_flag, check_positive_int, require


def _params(channels: int, reduction: int = 16, bias: bool = True) -> int:
    hidden = max(1, channels // reduction)
    return 2 * channels * hidden + (hidden + channels if bias else 0)


@register(
    name="se",
    title="Squeeze-and-excitation",
    kind="channel",
    paper="1709.01507",
    year=2017,
    site="post_norm",
    params=_params,
    extra="models",
    official=Official("hujie-frank/SENet", "0262d43", "models/SE-ResNet-50.prototxt", "Apache-2.0"),
    verified=(
        "formula and gradients in float64; nothing recorded, as the official code is for Caffe",
    ),
)
class SqueezeExcite(nn.Module):
    r"""Squeeze-and-excitation gate, $y = x \cdot \sigma(W_2\,\mathrm{relu}(W_1\,\bar{x}))$.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of the hidden layer; its width is ``max(1, C // reduction)``.
        bias: Biases on both layers, as in the official code; many ports drop them.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If ``bias`` is not a bool.
        ValueError: If ``channels`` or ``reduction`` is below 1; in ``forward``, if x is not
            (N, C, H, W).
        ImportError: If timm, whose layer it is, is not installed.

    Example:
        >>> import torch
        >>> SqueezeExcite(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 16, bias: bool = True) -> None:
        super().__init__()
        self.channels = check_positive_int("SqueezeExcite", "channels", channels)
        check_positive_int("SqueezeExcite", "reduction", reduction)
        check_flag("SqueezeExcite", "bias", bias)
        layers: Any = require("timm.layers", "models", "SqueezeExcite")
        hidden = max(1, channels // reduction)
        self.layer: nn.Module = layers.SEModule(channels, rd_channels=hidden, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every channel of x."""
        check_feature_map("SqueezeExcite", x, self.channels)
        out: Tensor = self.layer(x)
        return out

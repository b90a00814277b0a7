"""Global context: add one attended summary of the whole map to every position.

Paper: Cao et al., GCNet: Non-local Networks Meet Squeeze-Excitation, arXiv:1904.11492, eq. 5.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int, require


def _params(channels: int, reduction: int = 16) -> int:
    hidden = max(1, channels // reduction)
    return (channels + 1) + 2 * channels * hidden + hidden + channels + 2 * hidden


@register(
    name="gc",
    title="Global context",
    kind="self-attention",
    paper="1904.11492",
    year=2019,
    site="post_norm",
    params=_params,
    extra="models",
    identity_at_init=True,
    official=Official("xvjiarui/GCNet", "029db54", "mmdet/ops/gcb/context_block.py", "Apache-2.0"),
    verified=("formula and gradients in float64", "the authors' code (029db54), recorded"),
)
class GlobalContext(nn.Module):
    r"""Global context block, $y = x + W_2\,\mathrm{relu}(\mathrm{LN}(W_1 \sum_p a_p x_p))$.

    The weights $a$ are a softmax over all positions. The last layer starts at zero, weight and
    bias, so a fresh block returns its input.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of the hidden layer; its width is ``max(1, C // reduction)``.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).
        ImportError: If timm, whose layer it is, is not installed.

    Example:
        >>> import torch
        >>> GlobalContext(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.channels = check_positive_int("GlobalContext", "channels", channels)
        check_positive_int("GlobalContext", "reduction", reduction)
        layers: Any = require("timm.layers", "models", "GlobalContext")
        self.layer: Any = layers.GlobalContext(
            channels, fuse_add=True, fuse_scale=False, rd_channels=max(1, channels // reduction)
        )
        # timm leaves the last bias random and uses another eps; the paper's code does neither.
        nn.init.zeros_(self.layer.mlp_add.fc2.weight)
        nn.init.zeros_(self.layer.mlp_add.fc2.bias)
        self.layer.mlp_add.norm.eps = 1e-5

    def forward(self, x: Tensor) -> Tensor:
        """Add the context of x to x."""
        check_feature_map("GlobalContext", x, self.channels)
        out: Tensor = self.layer(x)
        return out

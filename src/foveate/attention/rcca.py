"""Recurrent criss-cross attention: a second pass of the same weights sees the whole map.

Paper: Huang et al., CCNet: Criss-Cross Attention for Semantic Segmentation, arXiv:1811.11721,
section 3.3.
"""

from __future__ import annotations

from torch import Tensor, nn

from foveate.attention.cca import OFFICIAL, CrissCrossAttention
from foveate.attention.registry import attention_spec, register
from foveate.core import check_feature_map, check_positive_int


def _params(channels: int, reduction: int = 8, recurrent: int = 2) -> int:
    return attention_spec("cca").params(channels, reduction=reduction)


@register(
    name="rcca",
    title="Recurrent criss-cross attention",
    kind="self-attention",
    paper="1811.11721",
    year=2018,
    site="stages@-1",
    params=_params,
    identity_at_init=True,
    departs=("alone at the end of a stage; the paper's stands in a segmentation head",),
    verified=(
        "formula in float64: dense attention masked to the cross, twice",
        "the authors' code (1fae6c6), recorded",
    ),
    official=OFFICIAL,
)
class RecurrentCrissCrossAttention(nn.Module):
    r"""Criss-cross attention applied R times with the same weights, $y = f(f(x))$ for R = 2.

    After the first pass each position knows its row and column; after the second, through the
    corners of the rectangle between them, every position knows every other.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of queries and keys; ``max(1, C // reduction)`` channels.
        recurrent: Number R of passes, at least 1.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> module = RecurrentCrissCrossAttention(512)
        >>> sum(weight.numel() for weight in module.parameters())
        328321
    """

    def __init__(self, channels: int, reduction: int = 8, recurrent: int = 2) -> None:
        super().__init__()
        self.channels = check_positive_int("RecurrentCrissCrossAttention", "channels", channels)
        self.recurrent = check_positive_int("RecurrentCrissCrossAttention", "recurrent", recurrent)
        self.attention = CrissCrossAttention(channels, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """Pass x through the one module R times."""
        check_feature_map("RecurrentCrissCrossAttention", x, self.channels)
        for _ in range(self.recurrent):
            x = self.attention(x)
        return x

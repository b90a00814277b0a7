"""Criss-cross attention: every position adds a weighted mean over its column and its row.

Paper: Huang et al., CCNet: Criss-Cross Attention for Semantic Segmentation, arXiv:1811.11721,
eq. 1-2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int
from foveate.ops.autocast import is_autocast_on

# A leaf for symbolic tracing: it looks at devices, which a proxy has not.
torch.fx.wrap("cross_weights")  # type: ignore[no-untyped-call]

OFFICIAL = Official("speedinghzl/CCNet", "1fae6c6", "cc_attention/functions.py", "MIT")


def cross_weights(query: Tensor, key: Tensor) -> Tensor:
    """For every position, the softmax over its column, itself left out, and its row.

    The products are float32 or wider, under autocast too: their sums pass the range of float16.

    Shape:
        - query, key: (N, D, H, W); output: (N, H, W, H + W), float32 at least.
    """
    device = query.device.type
    if is_autocast_on(device):
        with torch.autocast(device, enabled=False):
            return cross_weights(query, key)
    query, key = (one.to(torch.promote_types(one.dtype, torch.float32)) for one in (query, key))
    # A position is in its row and in its column: the column leaves it out.
    itself = torch.diag(query.new_full((query.shape[2],), -math.inf))
    column = torch.einsum("nchw,nckw->nhwk", query, key) + itself[:, None]
    row = torch.einsum("nchw,nchk->nhwk", query, key)
    return torch.cat([column, row], 3).softmax(3)


def _params(channels: int, reduction: int = 8) -> int:
    hidden = max(1, channels // reduction)
    return 2 * (channels + 1) * hidden + (channels + 1) * channels + 1


@register(
    name="cca",
    title="Criss-cross attention",
    kind="self-attention",
    paper="1811.11721",
    year=2018,
    site="stages@-1",
    params=_params,
    identity_at_init=True,
    departs=("alone at the end of a stage; the paper's stands in a segmentation head",),
    verified=(
        "formula in float64: dense attention masked to the cross",
        "the authors' code (1fae6c6), recorded",
    ),
    official=OFFICIAL,
)
class CrissCrossAttention(nn.Module):
    r"""Criss-cross attention, $y_p = x_p + s \sum_{k \in \mathrm{cross}(p)} a_{pk}\,v_k$.

    The weights are one softmax of $q_p \cdot k_k$, unscaled, over the $H + W - 1$ positions of p's
    column and row, p itself counted once. Queries, keys and values are 1x1 convolutions. The
    scale s starts at 0, so a fresh module returns its input; until it has moved, the convolutions
    get no gradient. Time and memory grow with $HW(H + W)$.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of queries and keys; ``max(1, C // reduction)`` channels.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> CrissCrossAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.channels = check_positive_int("CrissCrossAttention", "channels", channels)
        check_positive_int("CrissCrossAttention", "reduction", reduction)
        hidden = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add to every position of x what it attends to on its cross."""
        check_feature_map("CrissCrossAttention", x, self.channels)
        height, value = x.shape[2], self.value(x)
        weights = cross_weights(self.query(x), self.key(x)).to(value.dtype)
        column, row = weights[..., :height], weights[..., height:]
        attended = torch.einsum("nhwk,nckw->nchw", column, value)
        attended = attended + torch.einsum("nhwk,nchk->nchw", row, value)
        return (x + self.scale * attended).to(x.dtype)

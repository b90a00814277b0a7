"""Compact position attention: every position attends to a few pooled centres of the map.

Paper: Fu et al., Scene Segmentation with Dual Relation-aware Attention Network, IEEE TNNLS 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int, check_sides
from foveate.ops.attend import attend


def _params(channels: int, pools: Sequence[int] = (1, 2, 3, 6), reduction: int = 4) -> int:
    hidden = max(1, channels // reduction)
    gathering = len(pools) * (channels**2 + 2 * channels)
    return gathering + (channels + 1) * (2 * hidden + channels) + 1


@register(
    name="cpam",
    title="Compact position attention",
    kind="self-attention",
    paper="IEEE TNNLS 2020",
    year=2020,
    site="stages@-1",
    params=_params,
    identity_at_init=True,
    departs=("alone at the end of a stage; the paper's stands in a segmentation head",),
    verified=("formula in float64", "the authors' code (b0a0fa0), recorded"),
    official=Official("junfu1115/DANet", "b0a0fa0", "encoding/nn/dran_att.py", "MIT"),
)
class CompactPositionAttention(nn.Module):
    r"""Compact position attention, $y_p = x_p + s \sum_k \mathrm{softmax}_k(q_p \cdot k_k)\,v_k$.

    Positions p attend to K centres in place of all positions: the bins of adaptive average pools,
    each pool followed by a 1x1 convolution, a BatchNorm and a ReLU of its own. Queries are a 1x1
    convolution of x, keys and values linear layers on the centres; no scaling. The scale s starts
    at 0, so a fresh module returns its input; until it has moved, the layers get no gradient.
    Time and memory grow with $HW \cdot K$.

    In training a pool to one bin leaves one number a channel and image to its BatchNorm: a batch
    needs two images.

    Args:
        channels: Channels C of the input, at least 1.
        pools: Bins on a side of each pool; K is the sum of their squares, 50 by default. On maps
            of fewer pixels on a side, bins repeat pixels.
        reduction: Width divisor of queries and keys; ``max(1, C // reduction)`` channels.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If a number is below 1 or ``pools`` is empty or no sequence; in ``forward``,
            if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> CompactPositionAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self, channels: int, pools: Sequence[int] = (1, 2, 3, 6), reduction: int = 4
    ) -> None:
        super().__init__()
        who = "CompactPositionAttention"
        self.channels = check_positive_int(who, "channels", channels)
        check_positive_int(who, "reduction", reduction)
        hidden = max(1, channels // reduction)
        self.gather = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(bins),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
            for bins in check_sides(who, "pools", pools)
        )
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv1d(channels, hidden, 1)
        self.value = nn.Conv1d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(1))

    def added(self, x: Tensor) -> Tensor:
        """Return what the module adds to x, in the shape of x."""
        check_feature_map(type(self).__name__, x, self.channels)
        centres = torch.cat([gather(x).flatten(2) for gather in self.gather], 2)
        query, key, value = self.query(x).flatten(2), self.key(centres), self.value(centres)
        return self.scale * attend(query, key, value).reshape(x.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Add to every position of x what it attends to among the centres."""
        return x + self.added(x).to(x.dtype)

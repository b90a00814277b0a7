"""Dual attention: every position attends to all positions, every channel to all channels.

Paper: Fu et al., Dual Attention Network for Scene Segmentation, arXiv:1809.02983, eq. 1-4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.ccam import mix_channels
from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int
from foveate.ops.attend import attend


def _params(channels: int, reduction: int = 8) -> int:
    hidden = max(1, channels // reduction)
    return (channels + 1) * (2 * hidden + channels) + 2


@register(
    name="danet",
    title="Dual attention",
    kind="self-attention",
    paper="1809.02983",
    year=2018,
    site="stages@-1",
    params=_params,
    identity_at_init=True,
    departs=(
        "our plug-in form: both parts read x and add to it; the paper's head gives each part"
        " convolutions before and after, and sums what they yield",
        "channels weigh unlike channels most, by max - e, as in the authors' code; the paper's"
        " eq. 3 weighs like ones",
    ),
    verified=("formula in float64", "the authors' code (b0a0fa0), recorded"),
    official=Official("junfu1115/DANet", "b0a0fa0", "encoding/nn/da_att.py", "MIT"),
)
class DualAttention(nn.Module):
    r"""Dual attention as a plug-in, $y = x + s_P P(x) + s_K K(x)$.

    $P(x)_p = \sum_k \mathrm{softmax}_k(q_p \cdot k_k)\,v_k$ over all positions, unscaled, with
    1x1 convolutions for queries, keys and values. $K(x)_c = \sum_d
    \mathrm{softmax}_d(\max_j e_{cj} - e_{cd})\,x_d$ over all channels, with
    $e_{cd} = x_c \cdot x_d$ and no weights. The scales start at 0, so a fresh module returns its
    input; until $s_P$ has moved, the convolutions get no gradient. Time grows with
    $(HW)^2 C + HW\,C^2$.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of queries and keys; ``max(1, C // reduction)`` channels.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> DualAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        self.channels = check_positive_int("DualAttention", "channels", channels)
        check_positive_int("DualAttention", "reduction", reduction)
        hidden = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale_positions = nn.Parameter(torch.zeros(1))
        self.scale_channels = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Add to x what its positions and its channels attend to."""
        check_feature_map("DualAttention", x, self.channels)
        query, key, value = (one(x).flatten(2) for one in (self.query, self.key, self.value))
        positions = attend(query, key, value).reshape(x.shape)
        added = self.scale_positions * positions + self.scale_channels * mix_channels(x, x)
        return (x + added).to(x.dtype)

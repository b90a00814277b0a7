"""Dual relation-aware attention: compact position and compact channel attention, summed.

Paper: Fu et al., Scene Segmentation with Dual Relation-aware Attention Network, IEEE TNNLS 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from foveate.attention.ccam import CompactChannelAttention
from foveate.attention.cpam import CompactPositionAttention
from foveate.attention.registry import Official, attention_spec, register
from foveate.core import check_feature_map, check_positive_int


def _params(
    channels: int,
    pools: Sequence[int] = (1, 2, 3, 6),
    position_reduction: int = 4,
    channel_reduction: int = 16,
) -> int:
    position = attention_spec("cpam").params(channels, pools, position_reduction)
    return position + attention_spec("ccam").params(channels, channel_reduction)


@register(
    name="dra",
    title="Dual relation-aware attention",
    kind="self-attention",
    paper="IEEE TNNLS 2020",
    year=2020,
    site="stages@-1",
    params=_params,
    identity_at_init=True,
    departs=(
        "our plug-in form: both parts read x and add to it; the paper's head gives each part"
        " convolutions before and after, joins them by a convolution and gates a lower level",
    ),
    verified=("formula in float64", "cpam and ccam, which it sums"),
    official=Official("junfu1115/DANet", "b0a0fa0", "encoding/models/sseg/dran.py", "MIT"),
)
class DualRelationAttention(nn.Module):
    r"""Dual relation-aware attention as a plug-in, $y = x + (P(x) - x) + (K(x) - x)$.

    P is :class:`CompactPositionAttention`, K :class:`CompactChannelAttention`; each adds to x, and
    both start as the identity. In training a batch needs two images, for P's BatchNorms.

    Args:
        channels: Channels C of the input, at least 1.
        pools: Bins on a side of each of P's pools.
        position_reduction: Width divisor of P's queries and keys.
        channel_reduction: Divisor of the number of K's centres.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1 or ``pools`` is empty; in ``forward``, if x is not
            (N, C, H, W).

    Example:
        >>> module = DualRelationAttention(512)
        >>> sum(weight.numel() for weight in module.parameters())
        1463106
    """

    def __init__(
        self,
        channels: int,
        pools: Sequence[int] = (1, 2, 3, 6),
        position_reduction: int = 4,
        channel_reduction: int = 16,
    ) -> None:
        super().__init__()
        self.channels = check_positive_int("DualRelationAttention", "channels", channels)
        self.position = CompactPositionAttention(channels, pools, position_reduction)
        self.channel = CompactChannelAttention(channels, channel_reduction)

    def forward(self, x: Tensor) -> Tensor:
        """Add to x what both parts add to it."""
        check_feature_map("DualRelationAttention", x, self.channels)
        return (x + self.position.added(x) + self.channel.added(x)).to(x.dtype)

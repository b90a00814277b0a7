"""Compact channel attention: every channel attends to a few mixtures of all channels.

Paper: Fu et al., Scene Segmentation with Dual Relation-aware Attention Network, IEEE TNNLS 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int
from foveate.ops.transforms import is_exporting


def mix_channels(x: Tensor, centres: Tensor) -> Tensor:
    r"""For every channel, the mean of the centres, weighed by unlikeness.

    The weights are $\mathrm{softmax}_k(\max_j e_{cj} - e_{ck})$ of the products
    $e_{ck} = x_c \cdot z_k$ over all positions. The maximum drops out of a softmax, so they are
    those of -e. The products are float32 or wider inside: sums of H * W squares pass the range of
    float16 and the resolution of bfloat16. For second derivatives see
    :func:`~foveate.ops.attend.attend`.

    Shape:
        - x: (N, C, H, W); centres: (N, K, H, W); output: as x.
    """
    query, rows = -x.flatten(2), centres.flatten(2)
    if is_exporting():
        # ONNX has it with an axis for heads alone.
        query, rows = query.unsqueeze(1), rows.unsqueeze(1)
    mixed: Tensor = functional.scaled_dot_product_attention(query, rows, rows, scale=1.0)
    return mixed.reshape(x.shape)


def _params(channels: int, reduction: int = 16) -> int:
    centres = max(2, channels // reduction)
    return channels * centres + 2 * centres + 1


@register(
    name="ccam",
    title="Compact channel attention",
    kind="self-attention",
    paper="IEEE TNNLS 2020",
    year=2020,
    site="stages@-1",
    params=_params,
    identity_at_init=True,
    departs=(
        "alone at the end of a stage; the paper's stands in a segmentation head",
        "two centres at least, where C // 16 is fewer: a softmax over one weighs nothing",
    ),
    verified=("formula in float64", "the authors' code (b0a0fa0), recorded"),
    official=Official("junfu1115/DANet", "b0a0fa0", "encoding/nn/dran_att.py", "MIT"),
)
class CompactChannelAttention(nn.Module):
    r"""Compact channel attention, $y_c = x_c + s \sum_k a_{ck}\,z_k$.

    Channels c attend to K centres z in place of all channels: a 1x1 convolution of x to K maps, a
    BatchNorm and a ReLU. The weights are $a_{ck} = \mathrm{softmax}_k(\max_j e_{cj} - e_{ck})$ with
    $e_{ck} = x_c \cdot z_k$ over all positions, so that unlike centres weigh most. The scale s
    starts at 0, so a fresh module returns its input; until it has moved, the convolution gets no
    gradient. Time grows with $HW \cdot C K$.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Divisor of the number of centres; ``K = max(2, C // reduction)``.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> CompactChannelAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.channels = check_positive_int("CompactChannelAttention", "channels", channels)
        check_positive_int("CompactChannelAttention", "reduction", reduction)
        centres = max(2, channels // reduction)
        self.gather = nn.Sequential(
            nn.Conv2d(channels, centres, 1, bias=False), nn.BatchNorm2d(centres), nn.ReLU()
        )
        self.scale = nn.Parameter(torch.zeros(1))

    def added(self, x: Tensor) -> Tensor:
        """Return what the module adds to x, in shape and dtype of x."""
        check_feature_map(type(self).__name__, x, self.channels)
        return (self.scale * mix_channels(x, self.gather(x))).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Add to every channel of x what it attends to among the centres."""
        return x + self.added(x)

"""Coordinate attention: weigh rows and columns by what the means along each of them say.

Paper: Hou et al., Coordinate Attention for Efficient Mobile Network Design, arXiv:2103.02907,
eq. 4-9.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int


def _params(channels: int, reduction: int = 32, min_width: int = 8) -> int:
    hidden = max(min_width, channels // reduction)
    return 3 * channels * hidden + 3 * hidden + 2 * channels


@register(
    name="coord",
    title="Coordinate attention",
    kind="both",
    paper="2103.02907",
    year=2021,
    site="post_norm",
    params=_params,
    official=Official("houqb/CoordAttention", "7619bea", "coordatt.py", "MIT"),
    departs=(
        "the paper's MobileNetV2 has it inside the block, on the map that the projection reads"
        " (after_conv2), where the block expands; as a plug-in it stands after the last norm",
    ),
    verified=("formula in float64", "the authors' code (7619bea), recorded"),
    aliases=("coordatt",),
)
class CoordinateAttention(nn.Module):
    r"""Coordinate attention, $y_{chw} = x_{chw} \cdot g^h_{ch} \cdot g^w_{cw}$.

    The means of all rows and of all columns form one strip of H + W positions, which a shared
    layer squeezes, $f = \mathrm{hswish}(\mathrm{BN}(W_1 [\bar{x}^h, \bar{x}^w]))$. Its two parts
    give the gates, $g^h = \sigma(W_h f^h)$ and $g^w = \sigma(W_w f^w)$.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of the hidden layer; its width is
            ``max(min_width, C // reduction)``.
        min_width: Smallest width of the hidden layer.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> CoordinateAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 32, min_width: int = 8) -> None:
        super().__init__()
        who = "CoordinateAttention"
        self.channels = check_positive_int(who, "channels", channels)
        check_positive_int(who, "reduction", reduction)
        check_positive_int(who, "min_width", min_width)
        hidden = max(min_width, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def gate(self, x: Tensor) -> Tensor:
        """The weights of all positions, (N, C, H, W), a product of rows and columns."""
        check_feature_map("CoordinateAttention", x, self.channels)
        strip = torch.cat([x.mean(3), x.mean(2)], 2)[..., None]
        hidden = functional.hardswish(self.norm(self.squeeze(strip)))
        by_row, by_column = torch.split(hidden, [x.shape[2], x.shape[3]], 2)
        columns: Tensor = self.columns(by_column).transpose(2, 3)
        rows: Tensor = self.rows(by_row)
        return rows.sigmoid() * columns.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every row and column of each channel of x."""
        return x * self.gate(x)

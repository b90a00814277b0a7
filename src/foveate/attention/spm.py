"""Strip pooling: weigh every value by averages along its whole row and its whole column.

Paper: Hou et al., Strip Pooling: Rethinking Spatial Pooling for Scene Parsing, arXiv:2003.13328,
sec. 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int


def _params(channels: int) -> int:
    return 7 * channels**2 + 5 * channels


@register(
    name="spm",
    title="Strip pooling module",
    kind="both",
    paper="2003.13328",
    year=2020,
    site="after_conv2:last+after_conv2@-1",
    params=_params,
    official=Official("Andrew-Qibin/SPNet", "5e97da3", "models/resnet.py", "MIT"),
    departs=("multiplies x by its gate itself; the official module leaves that to its block",),
    verified=("formula in float64", "the authors' code (5e97da3), recorded"),
)
class StripPooling(nn.Module):
    r"""SPM, $y_{ij} = x_{ij} \cdot \sigma(W\,\mathrm{relu}(v_i + h_j) + b)$.

    $v = \mathrm{BN}(K_{3\times1} * \bar{x}_{i\cdot})$ comes from the averages of rows,
    $h = \mathrm{BN}(K_{1\times3} * \bar{x}_{\cdot j})$ from those of columns; both kernels mix all
    channels.

    Args:
        channels: Channels C of the input, at least 1.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. In training each norm needs two values
          for each channel, so a map of one row or one column needs N > 1.

    Raises:
        ValueError: If ``channels`` is below 1; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> StripPooling(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = check_positive_int("StripPooling", "channels", channels)
        self.vertical, self.horizontal = (
            nn.Sequential(
                nn.Conv2d(channels, channels, kernel, padding="same", bias=False),
                nn.BatchNorm2d(channels),
            )
            for kernel in ((3, 1), (1, 3))
        )
        self.mix = nn.Conv2d(channels, channels, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def gate(self, x: Tensor) -> Tensor:
        """Return the weights in (0, 1), (N, C, H, W)."""
        check_feature_map("StripPooling", x, self.channels)
        rows = self.vertical(x.mean(3, keepdim=True))
        columns = self.horizontal(x.mean(2, keepdim=True))
        return torch.sigmoid(self.mix(functional.relu(rows + columns)))

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every value of x."""
        return x * self.gate(x)

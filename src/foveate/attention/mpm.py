"""Mixed pooling: add what grids, rows and columns of averages say about a position.

Paper: Hou et al., Strip Pooling: Rethinking Spatial Pooling for Scene Parsing, arXiv:2003.13328,
sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int, check_sides

_WHO = "MixedPooling"
_Kernel = int | tuple[int, int]


def _params(channels: int, bins: Sequence[int] = (20, 12)) -> int:
    width = max(1, channels // 4)
    squares = len(bins) + 3
    strips_and_squares = (9 * squares + 6) * width**2 + 2 * (squares + 2) * width
    return 4 * channels * width + 4 * width + 2 * channels + strips_and_squares


@register(
    name="mpm",
    title="Mixed pooling module",
    kind="both",
    paper="2003.13328",
    year=2020,
    site="stages@-1",
    params=_params,
    official=Official("Andrew-Qibin/SPNet", "5e97da3", "models/customize.py", "MIT"),
    departs=(
        "stands at the end of the last stage; the authors put two in a segmentation head, after"
        " halving the channels",
    ),
    verified=("formula in float64", "the authors' code (5e97da3), recorded"),
)
class MixedPooling(nn.Module):
    r"""MPM, $y = \mathrm{relu}(x + W[g(W_1 x), s(W_2 x)])$.

    Both halves are a quarter as wide as x. $g$ adds a 3x3 convolution of the map and one of each
    grid of averages, brought back bilinearly; $s$ adds a (1, 3) convolution of the averages of
    columns and a (3, 1) convolution of those of rows. Each sum passes a ReLU and a 3x3
    convolution. Every convolution is followed by a BatchNorm, and those that end $W_1$, $W_2$,
    $g$ and $s$ by a ReLU too.

    Args:
        channels: Channels C of the input, at least 1; the inner width is ``max(1, C // 4)``.
        bins: Side of each grid of averages; a grid may be larger than the map.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. In training each norm needs two values
          for each channel, so a map of one row or one column needs N > 1.

    Raises:
        TypeError: If ``channels`` or a bin is not an integer.
        ValueError: If one is below 1, or ``bins`` is empty or no sequence; in ``forward``, if x
            is not (N, C, H, W).

    Example:
        >>> import torch
        >>> MixedPooling(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, bins: Sequence[int] = (20, 12)) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        self.bins = check_sides(_WHO, "bins", bins)
        width = max(1, channels // 4)
        self.to_grids = _normed(channels, width, 1, act=True)
        self.to_strips = _normed(channels, width, 1, act=True)
        self.full = _normed(width, width, 3)
        self.grids = nn.ModuleList(_normed(width, width, 3) for _ in self.bins)
        self.horizontal = _normed(width, width, (1, 3))
        self.vertical = _normed(width, width, (3, 1))
        self.from_grids = _normed(width, width, 3, act=True)
        self.from_strips = _normed(width, width, 3, act=True)
        self.mix = _normed(2 * width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Add the context of every position to x."""
        check_feature_map(_WHO, x, self.channels)
        halves = [self._pool_grids(self.to_grids(x)), self._pool_strips(self.to_strips(x))]
        return functional.relu(x + self.mix(torch.cat(halves, 1)))

    def _pool_grids(self, x: Tensor) -> Tensor:
        total: Tensor = self.full(x)
        for side, conv in zip(self.bins, self.grids, strict=True):
            grid = conv(functional.adaptive_avg_pool2d(x, side))
            size = (x.shape[2], x.shape[3])
            total = total + functional.interpolate(grid, size, mode="bilinear", align_corners=True)
        out: Tensor = self.from_grids(functional.relu(total))
        return out

    def _pool_strips(self, x: Tensor) -> Tensor:
        columns = self.horizontal(x.mean(2, keepdim=True))
        rows = self.vertical(x.mean(3, keepdim=True))
        out: Tensor = self.from_strips(functional.relu(columns + rows))
        return out


def _normed(inputs: int, outputs: int, kernel: _Kernel, act: bool = False) -> nn.Sequential:
    """A convolution that keeps the size, a norm, and perhaps a ReLU."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, padding="same", bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([nn.ReLU()] if act else []))

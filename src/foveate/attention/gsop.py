"""Global second-order pooling: weigh channels (or positions) by how they vary together.

Paper: Gao et al., Global Second-order Pooling Convolutional Networks, arXiv:1811.12006, sec. 3.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.place import Place, shared_groups
from foveate.attention.registry import Official, register
from foveate.core import check_choice, check_feature_map, check_positive_int
from foveate.ops.covariance import covariance

# A leaf for symbolic tracing: it looks at ranks and devices, which a proxy has not.
torch.fx.wrap("covariance")  # type: ignore[no-untyped-call]

_WHO = "GlobalSecondOrderPooling"
_MODES = ("channel", "position", "average", "max", "concat")
_ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}
_GRID = 8


def _params(
    channels: int,
    mode: str = "channel",
    dim: int = 128,
    mid_act: str = "none",
    stride: int | None = None,
) -> int:
    reduced = channels * dim + 3 * dim
    total = 0
    if mode != "position":
        total += reduced + _row_params(dim, channels)
    if mode != "channel":
        total += reduced + _row_params(_GRID**2, _GRID**2)
    if mode == "concat":
        groups, kernel = _merging(channels)
        total += 2 * (channels // groups * channels * kernel + channels) + 2 * channels
    return total


def _row_params(size: int, outputs: int) -> int:
    return 2 * size + 4 * size * (size + 1) + (4 * size + 1) * outputs


def _merging(channels: int) -> tuple[int, int]:
    """Groups and kernel of the convolutions that merge both attentions, as the authors choose."""
    groups = shared_groups(channels, max(1, channels // 64))
    return groups, max(1, 2 * int(math.log2(32 / groups)) + 5)


def _fit(place: Place, options: dict[str, Any]) -> dict[str, Any]:
    """Halve the large maps of the first stage."""
    return {"stride": 2} if place.stage == 1 and options.get("stride") is None else {}


@register(
    name="gsop",
    title="Global second-order pooling",
    kind="channel",
    paper="1811.12006",
    year=2018,
    site="post_norm:last",
    params=_params,
    official=Official(
        "ZilinGao/Global-Second-order-Pooling-Convolutional-Networks",
        "662a699",
        "torchvision/models/resnet.py",
        "MIT",
    ),
    departs=(
        "no activation between the row convolution and the last layer, as released; the paper"
        " draws a LeakyReLU (mid_act)",
        "position: the released code centers by the 64 cells of its grid in place of dim, so that"
        " its matrix is a covariance for dim=64 only",
        "concat: the number of groups also divides the channels, and the kernel is at least 1",
        "the network's last stage keeps its stride; that of the authors has 1: network='net1'",
    ),
    verified=("formula in float64", "the authors' code (662a699), recorded"),
    fit=_fit,
    networks={
        "net1": {"host": "last_stride_1"},
        "net2": {
            "host": "last_stride_1",
            "where": "post_norm:last@1..-2",
            "head": "second_order",
        },
    },
)
class GlobalSecondOrderPooling(nn.Module):
    r"""GSoP block, $y = x \cdot \sigma(W_2\,\mathrm{rows}(\mathrm{BN}(\Sigma)))$.

    $\Sigma$ is the covariance of $\mathrm{relu}(\mathrm{BN}(W_1\,\mathrm{relu}(x)))$ over all
    positions. Every row of it is taken to four numbers by a convolution of its own, and $W_2$
    reads all of them. The position block does the same with the covariance between the cells of
    an 8x8 grid; its weights are averaged or repeated from there to the size of x.

    Args:
        channels: Channels C of the input, at least 1.
        mode: ``"channel"``; ``"position"``, $\mathrm{relu}(x \cdot p)$; or both fused,
            ``"average"`` (which the authors code as the sum), ``"max"``, or ``"concat"``: two
            grouped convolutions along the columns, their sum normalized.
        dim: Channels d of the covariance.
        mid_act: Between row convolution and last layer of the channel block: ``"none"``,
            ``"relu"`` or ``"leaky_relu"``.
        stride: Stride of the channel block's first convolution; None is 1, or 2 where a network's
            first stage is known to be the place.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. Where one position is left the
          covariance is 0, and the weights are the same for every input. In training each norm
          needs two values for each of its channels, so a 1x1 map needs N > 1.

    Dtype:
        The covariance is computed in float32 at least, under autocast too.

    Raises:
        ValueError: If an argument is below 1 or unknown; in ``forward``, if x is not
            (N, C, H, W); in ``gate``, if the mode has two of them.

    Example:
        >>> import torch
        >>> GlobalSecondOrderPooling(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        mode: str = "channel",
        dim: int = 128,
        mid_act: str = "none",
        stride: int | None = None,
    ) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        check_choice(_WHO, "mode", mode, _MODES)
        check_positive_int(_WHO, "dim", dim)
        check_choice(_WHO, "mid_act", mid_act, _ACTIVATIONS)
        stride = 1 if stride is None else check_positive_int(_WHO, "stride", stride)
        self.mode = mode
        if mode != "position":
            self.channel = _ChannelGate(channels, dim, _ACTIVATIONS[mid_act](), stride)
        if mode != "channel":
            self.position = _PositionGate(channels, dim)
        if mode == "concat":
            groups, kernel = _merging(channels)
            self.merge_channel, self.merge_position = (
                nn.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=groups)
                for _ in range(2)
            )
            self.norm = nn.BatchNorm2d(channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def gate(self, x: Tensor) -> Tensor:
        """Return the weights: (N, C, 1, 1) of channels or (N, 1, H, W) of positions."""
        check_feature_map(_WHO, x, self.channels)
        check_choice(f"{_WHO}.gate", "mode of one gate", self.mode, _MODES[:2])
        out: Tensor = self.channel(x) if self.mode == "channel" else self.position(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels of x, its positions, or both."""
        check_feature_map(_WHO, x, self.channels)
        if self.mode == "channel":
            weighted: Tensor = x * self.channel(x)
            return weighted
        by_position = functional.relu(x * self.position(x))
        if self.mode == "position":
            return by_position
        by_channel: Tensor = x * self.channel(x)
        if self.mode == "average":
            return by_channel + by_position
        if self.mode == "max":
            return torch.maximum(by_channel, by_position)
        merged: Tensor = self.merge_channel(by_channel) + self.merge_position(by_position)
        out: Tensor = self.norm(merged)
        return out


class _RowWeights(nn.Module):
    """Weights in (0, 1) from a covariance, (N, s, s) -> (N, outputs, 1, 1)."""

    def __init__(self, size: int, outputs: int, act: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(size)
        self.rows = nn.Conv2d(size, 4 * size, (size, 1), groups=size)
        self.act = act
        self.expand = nn.Conv2d(4 * size, outputs, 1)

    def forward(self, matrix: Tensor) -> Tensor:
        rows = self.rows(self.norm(matrix.to(self.norm.weight.dtype)[..., None]))
        return torch.sigmoid(self.expand(self.act(rows)))


class _ChannelGate(nn.Module):
    """Weights of channels from how they vary together over positions."""

    def __init__(self, channels: int, dim: int, act: nn.Module, stride: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, dim, 1, stride)
        self.norm = nn.BatchNorm2d(dim)
        self.weights = _RowWeights(dim, channels, act)

    def forward(self, x: Tensor) -> Tensor:
        reduced = functional.relu(self.norm(self.reduce(functional.relu(x))))
        out: Tensor = self.weights(covariance(reduced))
        return out


class _PositionGate(nn.Module):
    """Weights of positions from how the cells of a grid vary together over channels."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, dim, 1)
        self.norm = nn.BatchNorm2d(dim)
        self.weights = _RowWeights(_GRID**2, _GRID**2, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.norm(self.reduce(functional.relu(x)))
        cells = functional.adaptive_avg_pool2d(reduced, _GRID).flatten(2)
        weights = self.weights(covariance(cells.transpose(1, 2)))
        grid = weights.reshape(-1, 1, _GRID, _GRID)
        return functional.adaptive_avg_pool2d(grid, (x.shape[2], x.shape[3]))

"""Bottleneck attention: one gate of channels and positions, where a network narrows its maps.

Paper: Park et al., BAM: Bottleneck Attention Module, arXiv:1807.06514, eq. 1-4.
"""

from __future__ import annotations

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_choice, check_feature_map, check_positive_int


def _params(channels: int, reduction: int = 16, dilation: int = 4, combine: str = "mul") -> int:
    hidden = max(1, channels // reduction)
    by_channel = 2 * channels * hidden + channels + 3 * hidden
    by_position = channels * hidden + 18 * hidden**2 + 10 * hidden + 1
    return by_channel + by_position


@register(
    name="bam",
    title="Bottleneck attention module",
    kind="both",
    paper="1807.06514",
    year=2018,
    site="stages@1..-2",
    params=_params,
    official=Official("Jongchan/attention-module", "459efad", "MODELS/bam.py", "MIT"),
    departs=(
        "multiplies the branches, as the official code does; combine='add' is the paper's sum",
        "no norm at the end of a branch, as in the official code; the paper has one",
        "averages the whole map; the official code a square crop, right for square maps alone",
    ),
    verified=(
        "formula and gradients in float64",
        "the authors' code (459efad), recorded on a square map",
    ),
)
class BottleneckAttention(nn.Module):
    r"""BAM, $y = x \cdot (1 + \sigma(M_c(\bar{x}) \cdot M_s(x)))$.

    $M_c$ is an MLP with a BatchNorm on the mean of every channel, $M_s$ squeezes the channels,
    sees far by two dilated 3x3 convolutions and ends in one score a position; all layers have
    biases. Convolutions, norms and biases start as in the official network.

    In training the BatchNorm of $M_c$ needs two images in a batch; torch raises ValueError for
    one.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of both branches; their width is ``max(1, C // reduction)``.
        dilation: Dilation of the 3x3 convolutions.
        combine: ``"mul"`` multiplies the branches, ``"add"`` adds them, as the paper writes.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If a number is below 1 or ``combine`` unknown; in ``forward``, if x is not
            (N, C, H, W), or has one image in training.

    Example:
        >>> import torch
        >>> BottleneckAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self, channels: int, reduction: int = 16, dilation: int = 4, combine: str = "mul"
    ) -> None:
        super().__init__()
        who = "BottleneckAttention"
        self.channels = check_positive_int(who, "channels", channels)
        check_positive_int(who, "reduction", reduction)
        check_positive_int(who, "dilation", dilation)
        check_choice(who, "combine", combine, ("mul", "add"))
        self.combine = combine
        hidden = max(1, channels // reduction)
        self.by_channel = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
        )
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1)]
        for _ in range(2):
            far = nn.Conv2d(hidden, hidden, 3, padding=dilation, dilation=dilation)
            layers += [nn.BatchNorm2d(hidden), nn.ReLU(), far]
        layers += [nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, 1, 1)]
        self.by_position = nn.Sequential(*layers)
        for layer in (*self.by_channel, *self.by_position):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            if isinstance(layer, (nn.Linear, nn.Conv2d)) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def gate(self, x: Tensor) -> Tensor:
        """Return the weights, (N, C, H, W), in (1, 2)."""
        check_feature_map("BottleneckAttention", x, self.channels)
        channels: Tensor = self.by_channel(x.mean((2, 3)))[:, :, None, None]
        positions: Tensor = self.by_position(x)
        both = channels * positions if self.combine == "mul" else channels + positions
        return 1 + both.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every element of x."""
        return x * self.gate(x)

"""Triplet attention: weigh a map by three planes, each with one of its three axes pooled.

Paper: Misra et al., Rotate to Attend: Convolutional Triplet Attention Module, arXiv:2010.03045,
eq. 1-5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_flag, check_odd, check_positive_int


def _params(channels: int, kernel: int = 7, no_spatial: bool = False) -> int:
    return (2 if no_spatial else 3) * (2 * kernel**2 + 2)


def _plane_gate(kernel: int, scale: float = 1.0) -> nn.Sequential:
    conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    norm = nn.BatchNorm2d(1, momentum=0.01)
    nn.init.constant_(norm.weight, scale)
    return nn.Sequential(conv, norm, nn.Sigmoid())


@register(
    name="triplet",
    title="Triplet attention",
    kind="both",
    paper="2010.03045",
    year=2020,
    site="post_norm",
    params=_params,
    official=Official(
        "landskape-ai/triplet-attention", "2cf02fb", "MODELS/triplet_attention.py", "MIT"
    ),
    departs=(
        "starts as in the official ResNet; the official MobileNetV2 starts every norm with scale 1",
        "places of an equal maximum share its gradient; the official code gives it to one",
    ),
    verified=(
        "formula and gradients in float64",
        "the authors' code (2cf02fb), recorded",
    ),
)
class TripletAttention(nn.Module):
    r"""Triplet attention, $y = \frac{1}{3}\,x \cdot (a_{CW} + a_{HC} + a_{HW})$.

    Each gate $a = \sigma(\mathrm{BN}(\mathrm{conv}_k([\max, \mathrm{mean}])))$ is a plane: the
    maximum and the mean run over the axis that its name lacks, and it weighs every position
    along that axis alike. The planes with a channel axis depend on the order of the channels. The
    BatchNorms have momentum 0.01; the scale of the one over H and W starts at 0, so that $a_{HW}$
    starts at one half.

    Args:
        channels: Channels C of the input, at least 1.
        kernel: Odd size k of the three kernels; 7 and 3 were published.
        no_spatial: Leave $a_{HW}$ out and take the mean of the other two.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. In training a 1x1 map needs N > 1, as
          BatchNorm over positions needs two; torch raises ValueError for one.

    Raises:
        TypeError: If ``no_spatial`` is not a bool.
        ValueError: If ``channels`` is below 1 or ``kernel`` is even; in ``forward``, if x is not
            (N, C, H, W).

    Example:
        >>> import torch
        >>> TripletAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, kernel: int = 7, no_spatial: bool = False) -> None:
        super().__init__()
        who = "TripletAttention"
        self.channels = check_positive_int(who, "channels", channels)
        check_odd(who, "kernel", kernel)
        check_flag(who, "no_spatial", no_spatial)
        self.over_h = _plane_gate(kernel)
        self.over_w = _plane_gate(kernel)
        self.over_c = None if no_spatial else _plane_gate(kernel, scale=0.0)

    def gate(self, x: Tensor) -> Tensor:
        """Return the mean of the gates, (N, C, H, W), in (0, 1)."""
        check_feature_map("TripletAttention", x, self.channels)
        # Each plane keeps the order of axes that the released kernels were trained in.
        rows: Tensor = self.over_h(_pooled(x, 2)).transpose(1, 2)  # (N, C, 1, W)
        columns: Tensor = self.over_w(_pooled(x, 3).transpose(2, 3)).transpose(1, 3)  # (N, C, H, 1)
        if self.over_c is None:
            return (rows + columns) / 2
        points: Tensor = self.over_c(_pooled(x, 1))  # (N, 1, H, W)
        return (rows + columns + points) / 3

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every element of x."""
        return x * self.gate(x)


def _pooled(x: Tensor, axis: int) -> Tensor:
    """Maximum and mean over an axis, as two channels: (N, 2, and the other two axes)."""
    return torch.stack((x.amax(axis), x.mean(axis)), 1)

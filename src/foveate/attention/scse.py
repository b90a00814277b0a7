"""Concurrent channel and spatial squeeze-and-excitation: one gate each, side by side.

Paper: Roy et al., Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional
Networks, arXiv:1803.02579, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_choice, check_feature_map, check_flag, check_positive_int


def _params(channels: int, reduction: int = 2, combine: str = "max", bias: bool = True) -> int:
    hidden = max(1, channels // reduction)
    return 2 * channels * hidden + channels + (hidden + channels + 1 if bias else 0)


@register(
    name="scse",
    title="Concurrent spatial and channel squeeze-and-excitation",
    kind="both",
    paper="1803.02579",
    year=2018,
    site="stages",
    params=_params,
    official=Official(
        "ai-med/squeeze_and_excitation",
        "acdd26e",
        "squeeze_and_excitation/squeeze_and_excitation.py",
        "MIT",
    ),
    departs=(
        "the paper adds the two weighed maps; the default takes the larger value, as in the"
        " authors' code",
        "the paper has it after every encoder and decoder block of a segmentation network, which"
        " in a classifier is the end of a stage",
    ),
    verified=("formula in float64", "the authors' code (acdd26e), recorded"),
)
class SpatialChannelSqueezeExcite(nn.Module):
    r"""scSE, $y = \max(x \cdot g^c, x \cdot g^s)$ or $y = x \cdot g^c + x \cdot g^s$.

    The channel gate is $g^c = \sigma(W_2\,\mathrm{relu}(W_1\,\bar{x}))$ as in
    squeeze-and-excitation, the spatial one $g^s = \sigma(w \cdot x)$, a 1x1 layer with one output.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of the channel gate's hidden layer; its width is
            ``max(1, C // reduction)``.
        combine: ``"max"`` or ``"sum"`` of the two weighed maps.
        bias: Biases on all layers.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If ``bias`` is not a bool.
        ValueError: If an argument is below 1 or ``combine`` is unknown; in ``forward``, if x is
            not (N, C, H, W).

    Example:
        >>> import torch
        >>> SpatialChannelSqueezeExcite(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self, channels: int, reduction: int = 2, combine: str = "max", bias: bool = True
    ) -> None:
        super().__init__()
        who = "SpatialChannelSqueezeExcite"
        self.channels = check_positive_int(who, "channels", channels)
        check_positive_int(who, "reduction", reduction)
        check_choice(who, "combine", combine, ("max", "sum"))
        check_flag(who, "bias", bias)
        self.combine = combine
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=bias)
        self.spatial = nn.Conv2d(channels, 1, 1, bias=bias)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weights of the channels, (N, C, 1, 1), and of the positions, (N, 1, H, W)."""
        check_feature_map("SpatialChannelSqueezeExcite", x, self.channels)
        hidden: Tensor = self.squeeze(x.mean((2, 3), keepdim=True))
        channel: Tensor = self.excite(hidden.relu())
        spatial: Tensor = self.spatial(x)
        return channel.sigmoid(), spatial.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the channels and the positions of x and combine both."""
        channel, spatial = self.gates(x)
        if self.combine == "sum":
            return x * (channel + spatial)
        # Of the products, not of the gates: below zero the smaller gate gives the larger value.
        return torch.maximum(x * channel, x * spatial)

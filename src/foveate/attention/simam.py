"""SimAM: weigh every value by how far it stands out of its channel, without any parameter.

Paper: Yang et al., SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural
Networks, ICML 2021, eq. 5-6.
"""

from __future__ import annotations

from torch import Tensor, nn

from foveate.attention.registry import Official, register
from foveate.core import check_feature_map, check_positive_int, check_ratio


def _params(channels: int, penalty: float = 1e-4) -> int:
    return 0


@register(
    name="simam",
    title="Simple parameter-free attention",
    kind="both",
    paper="ICML 2021",
    year=2021,
    site="after_conv2",
    params=_params,
    min_pixels=2,
    official=Official("ZjjConan/SimAM", "ae98f43", "networks/attentions/simam_module.py", "none"),
    departs=(
        "the authors have it between the block's 3x3 convolution and its norm (the second one in a"
        " basic block); after_conv2 is the nearest site, a norm and an activation later",
        "a single pixel has no variance with n - 1 and is refused; the authors' code gives NaN",
        "penalty 1e-4 as in their class; their ImageNet runs take 0.1",
    ),
    verified=(
        "formula in float64",
        "not the authors' code, which states no license",
    ),
)
class SimpleAttention(nn.Module):
    r"""SimAM, $y = x \cdot \sigma\left(\frac{(x - \mu)^2}{4 (s^2 + \lambda)} + \frac12\right)$.

    $\mu$ and $s^2$ are the mean and the variance of a channel of an image over its positions,
    the variance with n - 1. It is the inverse of the least energy at which a linear function
    tells one value of the channel from all others.

    Args:
        channels: Channels C of the input, at least 1.
        penalty: $\lambda$, the weight of the energy's penalty, in (0, 1].

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$, any float dtype; output: as x.

    Raises:
        ValueError: If an argument is out of range; in ``forward``, if x is not (N, C, H, W) or a
            single pixel.

    Example:
        >>> import torch
        >>> SimpleAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, penalty: float = 1e-4) -> None:
        super().__init__()
        who = "SimpleAttention"
        self.channels = check_positive_int(who, "channels", channels)
        self.penalty = check_ratio(who, "penalty", penalty)

    def gate(self, x: Tensor) -> Tensor:
        """The weights of all positions, (N, C, H, W), none below sigmoid(1/2)."""
        check_feature_map("SimpleAttention", x, self.channels, min_pixels=2)
        variance = x.var((2, 3), correction=1, keepdim=True)
        # Divided before it is squared: half precision holds no square of more than 255.
        far = (x - x.mean((2, 3), keepdim=True)) * (0.5 * (variance + self.penalty).rsqrt())
        return (far.square() + 0.5).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every value of x."""
        return x * self.gate(x)

    def extra_repr(self) -> str:
        """Show the options that are not parameters."""
        return f"{self.channels}, penalty={self.penalty}"

"""Double attention: gather global features into a few bags, hand them out to every position.

Paper: Chen et al., A2-Nets: Double Attention Networks, arXiv:1810.11579, section 3.
"""

from __future__ import annotations

from torch import Tensor, nn

from foveate.attention.registry import register, squeezed
from foveate.core import check_feature_map, check_positive_int, check_ratio


def _params(channels: int, feature_ratio: float = 0.25, map_ratio: float = 0.25) -> int:
    features, maps = squeezed(channels, feature_ratio), squeezed(channels, map_ratio)
    return (channels + 1) * (features + 2 * maps) + features * channels + channels


@register(
    name="a2",
    title="Double attention",
    kind="self-attention",
    paper="1810.11579",
    year=2018,
    site="blocks:second@2..-2",
    params=_params,
    identity_at_init=True,
    departs=(
        "both widths are C/4; the published size on ImageNet asks for C/2",
        "the last convolution starts at zero; the paper does not say how it starts",
    ),
    verified=("formula in float64", "no code is public"),
    aliases=("double_attention",),
)
class DoubleAttention(nn.Module):
    r"""Double attention, $y = x + W\,(A\,\mathrm{softmax}_p(B)^T)\,\mathrm{softmax}_n(V)$.

    $A$ (m channels), $B$ and $V$ (n channels) are 1x1 convolutions of x. Each of the n maps of
    $B$ is a softmax over all positions and gathers one feature vector of m numbers; each position
    mixes the n vectors by its softmax over $V$. In this order time and memory grow with $HW$.
    The last convolution starts at zero, weight and bias, so a fresh block returns its input;
    until it has moved, the other weights get no gradient.

    Args:
        channels: Channels C of the input, at least 1.
        feature_ratio: Width of the gathered features, in (0, 1]; ``m = max(1, floor(ratio * C))``.
        map_ratio: Number n of attention maps, likewise.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` is below 1 or a ratio is outside (0, 1]; in ``forward``, if x
            is not (N, C, H, W).

    Example:
        >>> import torch
        >>> DoubleAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, feature_ratio: float = 0.25, map_ratio: float = 0.25) -> None:
        super().__init__()
        self.channels = check_positive_int("DoubleAttention", "channels", channels)
        check_ratio("DoubleAttention", "feature_ratio", feature_ratio)
        check_ratio("DoubleAttention", "map_ratio", map_ratio)
        features, maps = squeezed(channels, feature_ratio), squeezed(channels, map_ratio)
        self.feature = nn.Conv2d(channels, features, 1)
        self.gather = nn.Conv2d(channels, maps, 1)
        self.distribute = nn.Conv2d(channels, maps, 1)
        self.out = nn.Conv2d(features, channels, 1)
        nn.init.zeros_(self.out.weight)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Add to every position of x its mixture of the gathered features."""
        check_feature_map("DoubleAttention", x, self.channels)
        gathering = self.gather(x).flatten(2).softmax(2)
        handing = self.distribute(x).flatten(2).softmax(1)
        bags = self.feature(x).flatten(2) @ gathering.transpose(1, 2)
        added: Tensor = self.out((bags @ handing).unflatten(2, x.shape[2:]))
        return x + added

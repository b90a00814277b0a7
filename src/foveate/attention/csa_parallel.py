"""Three gates side by side: by channel, by position, and by both. It reproduces no paper.

A generic block for comparisons with designs that use channel, spatial and channel-spatial
attention at the same time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.registry import register
from foveate.core import check_feature_map, check_odd, check_positive_int


def _params(channels: int, reduction: int = 16, kernel: int = 7) -> int:
    hidden = max(1, channels // reduction)
    return 4 * channels * hidden + 3 * hidden + 2 * channels + 2 * kernel * kernel + 2


@register(
    name="csa_parallel",
    title="Parallel channel, spatial and channel-spatial gates (generic, reproduces nothing)",
    kind="both",
    paper="none (generic block)",
    year=2026,
    site="post_norm",
    params=_params,
    departs=("this project's own arrangement of known gates; it reproduces no paper, OFDet least",),
    verified=("formula in float64", "it reproduces nothing"),
)
class ParallelGates(nn.Module):
    r"""Generic block, no reproduction: $y = x \cdot (g^c + g^s + g^{cs}) / 3$.

    $g^c = \sigma(W_2\,\mathrm{relu}(W_1\,\bar{x}))$ weighs channels as squeeze-and-excitation
    does; $g^s = \sigma(\mathrm{BN}(k * [\max_c x, \bar{x}_c]))$ positions as the spatial half of
    CBAM does; $g^{cs} = \sigma(W_4\,\mathrm{relu}(\mathrm{BN}(W_3\,x)))$ every value by 1x1
    layers. $W_3$ and $k$ have no biases.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of the hidden layers; their width is ``max(1, C // reduction)``.
        kernel: Odd size of the spatial kernel.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x. In training a 1x1 map needs N > 1, as
          BatchNorm over positions needs two; torch raises ValueError for one.

    Raises:
        ValueError: If an argument is below 1 or the kernel is even; in ``forward``, if x is not
            (N, C, H, W).

    Example:
        >>> import torch
        >>> ParallelGates(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        who = "ParallelGates"
        self.channels = check_positive_int(who, "channels", channels)
        hidden = max(1, channels // check_positive_int(who, "reduction", reduction))
        size = check_odd(who, "kernel", kernel)
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(2, 1, size, padding=size // 2, bias=False), nn.BatchNorm2d(1)
        )
        self.each = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def gate(self, x: Tensor) -> Tensor:
        """The weights of all values, (N, C, H, W), the mean of the three gates."""
        check_feature_map("ParallelGates", x, self.channels)
        pooled = torch.stack([x.amax(1), x.mean(1)], 1)
        channel: Tensor = self.channel(x.mean((2, 3), keepdim=True))
        spatial: Tensor = self.spatial(pooled)
        each: Tensor = self.each(x)
        return (channel.sigmoid() + spatial.sigmoid() + each.sigmoid()) / 3

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every value of x by the three gates together."""
        return x * self.gate(x)

"""Global and local attention: what is salient (channels) and where (positions), combined.

Paper: Linsley et al., Learning what and where to attend, arXiv:1805.08819, sec. 4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention.registry import Official, register
from foveate.core import check_choice, check_feature_map, check_flag, check_positive_int

_WHO = "GlobalAndLocalAttention"
_SQUASHES = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}
_EXTRA_KERNEL = 5
# Standard deviation of a unit normal that is cut at two of its own.
_CUT = 0.87962566103423978


def _params(
    channels: int,
    reduction: int = 16,
    extra_convs: int = 0,
    squash: str = "tanh",
    rectify_global: bool = False,
) -> int:
    hidden = max(1, channels // reduction)
    local = channels * hidden + 2 * hidden + 1
    local += extra_convs * (_EXTRA_KERNEL**2 * hidden**2 + hidden)
    return local + 2 * channels * hidden + hidden + channels + 2 * channels


@register(
    name="gala",
    title="Global-and-local attention",
    kind="both",
    paper="1805.08819",
    year=2018,
    site="block_input@-2",
    params=_params,
    official=Official("serre-lab/gala_tpu", "65bd06e", "resnet_helpers.py", "none"),
    departs=(
        "the paper's form; the released code has reduction=4, extra_convs=1, squash='sigmoid' and"
        " rectify_global=True",
        "the paper is silent on the start: all weights start as in the released code",
        "saliency has Euclidean norm 1; the released code divides by the root of its sum instead",
        "where branches start multiplied by zero, as in timm's ResNets, tanh gates in a row leave"
        " little of a fresh signal (1e-9 after six): use squash='sigmoid' or an identity start",
        "r=16 without extra convolutions, the size that others quote for it; not stated as such",
    ),
    verified=(
        "formula in float64",
        "not the authors' code, which states no license (and is TensorFlow 1)",
    ),
)
class GlobalAndLocalAttention(nn.Module):
    r"""GALA, $y = x \cdot \tanh(a(g + l) + m\,g\,l)$ with learned $a, m$ for every channel.

    $g = W_2\,\mathrm{relu}(W_1\,\bar{x})$ weighs channels,
    $l = V_2\,\mathrm{relu}(V_1 x)$ is one map of 1x1 convolutions that weighs positions. Gates of
    tanh may be negative. $a$ and $m$ start random with variance 1: near 0 they would silence the
    input.

    Args:
        channels: Channels C of the input, at least 1.
        reduction: Width divisor of both hidden layers; their width is ``max(1, C // reduction)``.
        extra_convs: 5x5 convolutions with a ReLU between the two of the local half.
        squash: ``"tanh"`` as in the paper, or ``"sigmoid"`` as released.
        rectify_global: Whether g passes a ReLU, as released.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If ``rectify_global`` is not a bool.
        ValueError: If an argument is below its least or unknown; in ``forward``, if x is not
            (N, C, H, W).

    Example:
        >>> import torch
        >>> GlobalAndLocalAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        extra_convs: int = 0,
        squash: str = "tanh",
        rectify_global: bool = False,
    ) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        check_positive_int(_WHO, "reduction", reduction)
        check_positive_int(_WHO, "extra_convs", extra_convs, minimum=0)
        check_choice(_WHO, "squash", squash, _SQUASHES)
        self.squash = squash
        self.rectify_global = check_flag(_WHO, "rectify_global", rectify_global)
        hidden = max(1, channels // reduction)
        self.channel = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )
        layers: list[nn.Module] = [nn.Conv2d(channels, hidden, 1), nn.ReLU()]
        for _ in range(extra_convs):
            layers += [nn.Conv2d(hidden, hidden, _EXTRA_KERNEL, padding="same"), nn.ReLU()]
        self.position = nn.Sequential(*layers, nn.Conv2d(hidden, 1, 1))
        self.additive = nn.Parameter(torch.empty(channels, 1, 1))
        self.multiplicative = nn.Parameter(torch.empty(channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start anew: variances 1 / fan-in, Glorot's range in the global half, biases 0."""
        for vector in (self.additive, self.multiplicative):
            _scale_(vector, 1)
        for half in (self.channel, self.position):
            for module in half:
                if isinstance(module, nn.Conv2d):
                    nn.init.zeros_(module.bias)  # type: ignore[arg-type]
                    if half is self.channel:
                        nn.init.xavier_uniform_(module.weight)
                    else:
                        _scale_(module.weight, module.weight[0].numel())

    def gate(self, x: Tensor) -> Tensor:
        """Return the weights, (N, C, H, W), in (-1, 1), or (0, 1) with ``squash="sigmoid"``."""
        check_feature_map(_WHO, x, self.channels)
        by_channel = self.channel(x.mean((2, 3), keepdim=True))
        if self.rectify_global:
            by_channel = functional.relu(by_channel)
        # The sum and the product at once: a g + (a + m g) l.
        slope = self.additive + self.multiplicative * by_channel
        combined = self.additive * by_channel + slope * self.position(x)
        return _SQUASHES[self.squash](combined)

    def saliency(self, x: Tensor) -> Tensor:
        r"""Return where it attends, for a loss that compares it with what people look at.

        The mean square of the gate over channels, divided by the Euclidean norm of that map; the
        paper compares it with a blurred map of clicks of the same norm. It computes the gate anew.

        Args:
            x: The input of the module, as a forward pre-hook sees it inside a network.

        Shape:
            - x: $(N, C, H, W)$; output: $(N, 1, H, W)$, each map of norm 1.

        Dtype:
            That of the gate, in float32 at least.

        Source: Linsley et al., arXiv:1805.08819, sec. 4.
        """
        gate = self.gate(x)
        gate = gate.to(torch.promote_types(gate.dtype, torch.float32))
        squares = gate.square().mean(1, keepdim=True)
        norm = torch.linalg.vector_norm(squares, dim=(2, 3), keepdim=True)
        out: Tensor = squares / norm.clamp_min(1e-12)
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every value of x."""
        return (x * self.gate(x)).to(x.dtype)


def _scale_(weight: Tensor, fan_in: int) -> None:
    """Fill with a normal cut at two deviations whose variance then is 1 / ``fan_in``."""
    spread = math.sqrt(1 / fan_in) / _CUT
    nn.init.trunc_normal_(weight, std=spread, a=-2 * spread, b=2 * spread)

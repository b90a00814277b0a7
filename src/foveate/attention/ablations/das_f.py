"""The gate with a second separable convolution instead of the deformable one: design (f).

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (f).
"""

from __future__ import annotations

from torch import nn

from foveate.attention.parts.layers import GateOf
from foveate.attention.parts.squeeze import context, separable, separable_params
from foveate.attention.registry import register, squeezed
from foveate.core import check_positive_int, check_ratio


def _params(channels: int, alpha: float = 0.2) -> int:
    r = squeezed(channels, alpha)
    return separable_params(channels, r) + separable_params(r, channels) + 2 * channels


@register(
    name="das_f",
    title="Gate by two separable convolutions",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    min_pixels=2,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: the deformable convolution is replaced by a separable one",
        "ours: it leads from the r squeezed channels back to C, depthwise first, without biases",
    ),
)
class TwiceSeparableGate(GateOf):
    r"""Gate by two separable convolutions, $y = x \sigma(\mathrm{LN}(\mathrm{separable}(X_c)))$.

    $X_c = \mathrm{GELU}(\mathrm{IN}(\mathrm{separable}(x)))$ has r = max(1, floor(alpha * C))
    channels, as in the gate.

    Args:
        channels: Channels C of the input, at least 1.
        alpha: Squeeze ratio in (0, 1].

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$, any float dtype; output: as x.

    Raises:
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W) or
            has a single pixel.

    Example:
        >>> import torch
        >>> TwiceSeparableGate(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, alpha: float = 0.2) -> None:
        who = "TwiceSeparableGate"
        check_positive_int(who, "channels", channels)
        r = squeezed(channels, check_ratio(who, "alpha", alpha))
        steps = context(channels, r)
        steps["back"] = separable(r, channels)
        super().__init__(channels, nn.Sequential(steps), min_pixels=2)

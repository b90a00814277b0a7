"""A separable convolution alone as the gate: design (e) of the DAS paper.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (e).
"""

from __future__ import annotations

from torch import nn

from foveate.attention.parts.layers import GateOf
from foveate.attention.parts.squeeze import context, separable, separable_params
from foveate.attention.registry import register, squeezed
from foveate.core import check_choice, check_positive_int, check_ratio
from foveate.ops.modules import Pointwise

_KERNEL = {"pointwise": 1, "dense3x3": 3}


def _params(channels: int, back: str = "none", alpha: float = 0.2) -> int:
    norm = 2 * channels
    if back == "none":
        return separable_params(channels, channels) + norm
    r = squeezed(channels, alpha)
    return separable_params(channels, r) + _KERNEL[back] ** 2 * r * channels + norm


@register(
    name="das_e",
    title="Gate by a separable convolution",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: the deformable convolution is removed, the first part kept; costs more than (c)",
        "ours: one separable layer from C to C channels, which costs more than (c) if the"
        " deformable kernel of (c) is not counted; with everything counted no reading of (e) does",
    ),
)
class SeparableGate(GateOf):
    r"""Gate by a separable convolution, $y = x \cdot \sigma(\mathrm{LN}(\mathrm{separable}(x)))$.

    Args:
        channels: Channels C of the input, at least 1.
        back: ``"none"``, a single layer from C to C channels; else the squeeze to
            r = max(1, floor(alpha * C)) channels, InstanceNorm and GELU of the gate are kept, and
            a ``"pointwise"`` or ``"dense3x3"`` convolution leads back to C.
        alpha: Squeeze ratio in (0, 1], where there is a way back.

    Shape:
        - x: $(N, C, H, W)$, with $H W \ge 2$ where there is a way back, any float dtype.
        - output: as x.

    Raises:
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W) or
            too small.

    Example:
        >>> import torch
        >>> SeparableGate(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, back: str = "none", alpha: float = 0.2) -> None:
        who = "SeparableGate"
        check_positive_int(who, "channels", channels)
        check_choice(who, "back", back, ("none", *_KERNEL))
        r = squeezed(channels, check_ratio(who, "alpha", alpha))
        if back == "none":
            super().__init__(channels, separable(channels, channels))
            return
        steps = context(channels, r)
        if back == "pointwise":
            steps["back"] = Pointwise(r, channels, 1, bias=False)
        else:
            steps["back"] = nn.Conv2d(r, channels, 3, padding=1, bias=False)
        super().__init__(channels, nn.Sequential(steps), min_pixels=2)

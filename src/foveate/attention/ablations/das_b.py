"""Weights from a squeezed map and a grid sample of it: design (b) of the DAS paper.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (b).
"""

from __future__ import annotations

from torch import nn

from foveate.attention.parts.beside import BesideItself, beside_params
from foveate.attention.parts.layers import GateOf
from foveate.attention.parts.squeeze import context, separable_params
from foveate.attention.registry import register, squeezed
from foveate.core import check_choice, check_positive_int, check_ratio


def _params(channels: int, alpha: float = 0.2, fuse_kernel: int = 1, norm: str = "none") -> int:
    r = squeezed(channels, alpha)
    fuse = channels * (2 * r * fuse_kernel**2 + 1)
    scales = 2 * channels if norm == "layer" else 0
    return separable_params(channels, r) + beside_params(r) + fuse + scales


@register(
    name="das_b",
    title="Gate by a squeezed grid sample",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    min_pixels=2,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: as (a), but the squeezed input and its sample yield weights; cheaper than (a)",
        "ours: squeezed as in the gate; displacements from a 3x3 convolution that starts at zero",
        "ours: the fusing kernel is 1x1, and no norm stands before the sigmoid",
    ),
)
class SampleGate(GateOf):
    r"""Gate by a squeezed map and its sample, $y = x \cdot \sigma(W [X_c, \mathrm{sample}(X_c)])$.

    $X_c = \mathrm{GELU}(\mathrm{IN}(\mathrm{separable}(x)))$ has r = max(1, floor(alpha * C))
    channels.

    Args:
        channels: Channels C of the input, at least 1.
        alpha: Squeeze ratio in (0, 1].
        fuse_kernel: Size of the fusing kernel, 1 or 3.
        norm: ``"none"``, or ``"layer"`` before the sigmoid, over the channels of each pixel.

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$, any float dtype; output: as x.

    Raises:
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W) or
            has a single pixel.

    Example:
        >>> import torch
        >>> SampleGate(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(
        self, channels: int, alpha: float = 0.2, fuse_kernel: int = 1, norm: str = "none"
    ) -> None:
        who = "SampleGate"
        check_positive_int(who, "channels", channels)
        check_choice(who, "fuse_kernel", fuse_kernel, (1, 3))
        r = squeezed(channels, check_ratio(who, "alpha", alpha))
        steps = context(channels, r)
        steps["beside"] = BesideItself(r)
        steps["fuse"] = nn.Conv2d(2 * r, channels, fuse_kernel, padding=fuse_kernel // 2)
        super().__init__(channels, nn.Sequential(steps), norm, min_pixels=2)

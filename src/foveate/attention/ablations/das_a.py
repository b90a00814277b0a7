"""A map and a grid sample of itself, fused by a convolution: design (a) of the DAS paper.

Paper: Salajegheh et al., DAS: A Deformable Attention to Capture Salient Information in CNNs,
arXiv:2311.12091, table 4, design (a).
"""

from __future__ import annotations

from torch import Tensor, nn

from foveate.attention.parts.beside import BesideItself, beside_params
from foveate.attention.registry import register
from foveate.core import check_choice, check_feature_map, check_flag, check_positive_int


def _params(channels: int, fuse_kernel: int = 1, gate: bool = False) -> int:
    return beside_params(channels) + channels * (2 * channels * fuse_kernel**2 + 1)


@register(
    name="das_a",
    title="Fused grid sample",
    kind="ablation",
    paper="2311.12091",
    year=2023,
    site="stages",
    params=_params,
    verified=("formula in float64", "no code is public"),
    departs=(
        "stated: the input and a grid sample of itself are concatenated and fused by a convolution",
        "ours: a 3x3 convolution that starts at zero predicts the sample's displacements in pixels",
        "ours: the fusing kernel is 1x1, and its result goes on in the trunk, ungated",
    ),
)
class FusedSample(nn.Module):
    r"""Fuse a map with a displaced sample of itself, $y = W [x, \mathrm{sample}(x)]$.

    Args:
        channels: Channels C of the input, at least 1.
        fuse_kernel: Size of the fusing kernel, 1 or 3.
        gate: Return $x \cdot \sigma(\cdot)$ of the fused map instead of the map.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        TypeError: If ``gate`` is not a bool.
        ValueError: If an option is outside its range; in ``forward``, if x is not (N, C, H, W).

    Example:
        >>> import torch
        >>> FusedSample(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, fuse_kernel: int = 1, gate: bool = False) -> None:
        super().__init__()
        who = "FusedSample"
        self.channels = check_positive_int(who, "channels", channels)
        check_choice(who, "fuse_kernel", fuse_kernel, (1, 3))
        self.is_gate = check_flag(who, "gate", gate)
        self.beside = BesideItself(channels)
        self.fuse = nn.Conv2d(2 * channels, channels, fuse_kernel, padding=fuse_kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Fuse x with its sample."""
        check_feature_map("FusedSample", x, self.channels)
        fused: Tensor = self.fuse(self.beside(x)).to(x.dtype)
        return x * fused.sigmoid() if self.is_gate else fused

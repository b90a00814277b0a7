"""Modulated deformable convolution: the taps move, and each is weighed where it lands.

Paper: Zhu et al., Deformable ConvNets v2, arXiv:1811.11168, eq. 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from foveate.attention.dcn import DeformableConv, borrow, deformable_params
from foveate.attention.registry import Official, register
from foveate.core import check_ratio


def _params(channels: int, **given: Any) -> int:
    return deformable_params("dcnv2", channels, **given)


@register(
    name="dcnv2",
    title="Modulated deformable convolution",
    kind="convolution",
    paper="1811.11168",
    year=2018,
    site="replace_conv2@2..-1",
    params=_params,
    fit=borrow,
    borrows_kernel=True,
    official=Official(
        "chengdazhi/Deformable-Convolution-V2-PyTorch",
        "7e69911",
        "modules/modulated_dcn.py",
        "MIT",
    ),
    departs=(
        "half of the plain convolution at the start, as in the paper; mask_scale=2 starts as it",
        "the predictor is dilated with the kernel; the authors' is not",
        "trains all weights alike; the paper slows those of displacement and mask tenfold",
    ),
    verified=(
        "torchvision's deform_conv2d in float64, forward and gradients",
        "not the authors' code, which runs on CUDA devices alone",
    ),
)
class ModulatedDeformableConv(DeformableConv):
    r"""Modulated deformable convolution, $y(p) = \sum_k w_k m_k(p) x(p s - q + k d + \Delta_k(p))$.

    Displacements $\Delta$ and mask $m = a\,\sigma(\cdot)$ come from one convolution that starts at
    zero: a fresh module is a / 2 times the plain convolution.

    Args:
        channels: Channels C of the input, at least 1.
        mask_scale: The most a tap can weigh, a.
        **convolution: The other arguments of :class:`~foveate.attention.dcn.DeformableConv`.

    Shape:
        - x: $(N, C, H, W)$, any float dtype.
        - weight: $(C', C / G, k, k)$ and bias: $(C')$, where handed in.
        - output: $(N, C', H', W')$ as the plain convolution's.

    Raises:
        TypeError: If a number is not an integer, or a switch not a bool.
        ValueError: If an argument is out of range; in ``forward``, if x is not (N, C, H, W), or
            weights are handed to a module with its own, or none to one without.

    Example:
        >>> import torch
        >>> ModulatedDeformableConv(8, stride=2)(torch.rand(2, 8, 7, 5)).shape
        torch.Size([2, 8, 4, 3])
    """

    per_tap = 3
    """Maps predicted for each tap: its displacement down and to the right, and its weight."""

    def __init__(
        self,
        channels: int,
        out_channels: int | None = None,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        offset_groups: int = 1,
        own_kernel: bool = True,
        mask_scale: float = 1.0,
    ) -> None:
        geometry = (out_channels, kernel, stride, padding, dilation, groups, bias)
        super().__init__(channels, *geometry, offset_groups, own_kernel)
        who = type(self).__name__
        self.mask_scale = check_ratio(who, "mask_scale", mask_scale, upper=float("inf"))

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict the displacements in pixels and the mask in (0, ``mask_scale``)."""
        maps, _ = super().predict(x)
        taps = self.geometry.kernel**2 * self.offset_groups
        offset, logits = torch.split(maps, [2 * taps, taps], dim=1)
        return offset, logits.sigmoid() * self.mask_scale

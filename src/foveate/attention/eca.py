"""Efficient channel attention: weigh channels by a one-dimensional convolution of their means.

Paper: Wang et al., ECA-Net, arXiv:1910.03151, eq. 5-12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from foveate.attention.place import Place
from foveate.attention.registry import Official, register
from foveate.core import (
    Words,
    check_feature_map,
    check_odd,
    check_positive_int,
    expected,
    require,
)

_WHO = "EfficientChannelAttention"


def adaptive_kernel(channels: int) -> int:
    """Kernel size from the number of channels, t = |log2(C) + 1| / 2 made odd (eq. 12)."""
    size = int(abs(math.log2(channels) + 1) / 2)
    return size if size % 2 else size + 1


def _params(channels: int, kernel: int | Sequence[int] | None = None) -> int:
    if isinstance(kernel, (tuple, list)):
        remedy = "a kernel for each stage is for insertion into a network"
        raise ValueError(expected(_WHO, "one kernel outside a network", Words(kernel), remedy))
    return check_odd(_WHO, "kernel", adaptive_kernel(channels) if kernel is None else kernel)


def _fit(place: Place, options: dict[str, Any]) -> dict[str, Any]:
    """Ask for the kernel of the stage where there is one for each."""
    kernel = options.get("kernel")
    if not isinstance(kernel, (tuple, list)):
        return {}
    if place.stage == 0 or len(kernel) != place.stages:
        rule = f"a kernel for each of the {place.stages} stages"
        if place.stage == 0:
            rule = "one kernel where a network has no stages"
        raise ValueError(expected(_WHO, rule, Words(kernel)))
    return {"kernel": kernel[place.stage - 1]}


@register(
    name="eca",
    title="Efficient channel attention",
    kind="channel",
    paper="1910.03151",
    year=2019,
    site="post_norm",
    params=_params,
    extra="models",
    official=Official("BangguWu/ECANet", "b332f6b", "models/eca_module.py", "MIT"),
    departs=(
        "kernel by the paper's formula; the released checkpoints fix one per stage, see the option",
    ),
    verified=("formula and gradients in float64", "the authors' code (b332f6b), recorded"),
    fit=_fit,
)
class EfficientChannelAttention(nn.Module):
    r"""Efficient channel attention, $y = x \cdot \sigma(\mathrm{conv1d}_k(\bar{x}))$.

    Args:
        channels: Channels C of the input, at least 1.
        kernel: Odd kernel size k along the channels; None takes the paper's formula. In an
            insertion also one for each stage of the network; the released checkpoints have
            ``(3, 5, 7, 7)`` in ResNet-18, ``(3, 5, 5, 7)`` in ResNet-50, ``(3, 3, 5, 7)`` in
            ResNet-101 and ``(1, 1, 1, 1, 3, 3, 3)`` in MobileNetV2.

    Shape:
        - x: $(N, C, H, W)$, any float dtype; output: as x.

    Raises:
        ValueError: If ``channels`` is below 1, or ``kernel`` is even, or several outside a
            network or not as many as its stages; in ``forward``, if x is not (N, C, H, W).
        ImportError: If timm, whose layer it is, is not installed.

    Example:
        >>> import torch
        >>> EfficientChannelAttention(32)(torch.rand(2, 32, 7, 5)).shape
        torch.Size([2, 32, 7, 5])
    """

    def __init__(self, channels: int, kernel: int | Sequence[int] | None = None) -> None:
        super().__init__()
        self.channels = check_positive_int(_WHO, "channels", channels)
        size = _params(channels, kernel)
        layers: Any = require("timm.layers", "models", _WHO)
        # Given channels, timm's class overrides the kernel size by its own formula.
        self.layer: Any = layers.EcaModule(channels=None, kernel_size=size)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every channel of x."""
        check_feature_map(_WHO, x, self.channels)
        # Not the layer's call, whose view is undefined for an empty batch.
        weights: Tensor = self.layer.gate(self.layer.conv(x.mean((2, 3))[:, None]))
        return x * weights.transpose(1, 2)[..., None]

"""A deformable 3x3 convolution that predicts its own displacements, as a layer of a design."""

from __future__ import annotations

from foveate.attention.dcn import DeformableConv
from foveate.attention.dcnv2 import ModulatedDeformableConv
from foveate.attention.parts.squeeze import TAPS
from foveate.core import check_flag, check_positive_int


def deformable(who: str, channels: int, outputs: int, modulated: bool) -> DeformableConv:
    """Make the layer, without a bias; displacements start at zero, the mask at one half.

    Raises:
        TypeError: If ``modulated`` is not a bool, or ``channels`` not an integer.
        ValueError: If ``channels`` is below 1.
    """
    check_positive_int(who, "channels", channels)
    kind = ModulatedDeformableConv if check_flag(who, "modulated", modulated) else DeformableConv
    return kind(channels, outputs)


def deformable_params(channels: int, outputs: int, modulated: bool) -> int:
    """Weights and biases of :func:`deformable`."""
    maps = TAPS * (3 if modulated else 2)
    return maps * (TAPS * channels + 1) + TAPS * channels * outputs

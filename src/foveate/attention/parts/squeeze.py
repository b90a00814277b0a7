"""The first half of the gate: a separable convolution to fewer channels, a norm, an activation."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from foveate.ops.modules import InstanceNorm, Pointwise, Separable

TAPS = 9
"""Taps of a 3x3 kernel."""


def separable(
    channels: int,
    outputs: int,
    *,
    order: str = "dw_pw",
    kernel: int = 3,
    bias: bool = False,
    norm: str = "none",
    activation: str = "none",
) -> nn.Sequential:
    """Make the depthwise and the pointwise convolution and what lies between them.

    Args:
        channels: Channels of the input.
        outputs: Channels of the output.
        order: ``"dw_pw"``, depthwise first, or ``"pw_dw"``.
        kernel: Size of the depthwise kernel, odd.
        bias: Biases on both.
        norm: ``"none"`` or ``"batch"`` between the two.
        activation: ``"none"`` or ``"relu"`` between the two.
    """
    inner = channels if order == "dw_pw" else outputs
    depthwise = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=inner, bias=bias)
    pointwise = Pointwise(channels, outputs, 1, bias=bias)
    first, last = (depthwise, pointwise) if order == "dw_pw" else (pointwise, depthwise)
    names = ("depthwise", "pointwise") if order == "dw_pw" else ("pointwise", "depthwise")
    steps: OrderedDict[str, nn.Module] = OrderedDict({names[0]: first})
    if norm == "batch":
        steps["norm"] = nn.BatchNorm2d(inner)
    if activation == "relu":
        steps["activation"] = nn.ReLU()
    steps[names[1]] = last
    plain = not bias and list(steps) == ["depthwise", "pointwise"]
    return Separable(steps) if plain else nn.Sequential(steps)


def separable_params(channels: int, outputs: int) -> int:
    """Weights of :func:`separable` by default."""
    return TAPS * channels + channels * outputs


def context(channels: int, squeeze: int) -> OrderedDict[str, nn.Module]:
    """Make the layers of eq. 1, as ``das`` has them by default, by name."""
    return OrderedDict(
        squeeze=separable(channels, squeeze), norm=InstanceNorm(squeeze), activation=nn.GELU()
    )

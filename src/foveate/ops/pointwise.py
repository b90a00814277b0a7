"""A 1x1 convolution as one matrix product over rows of channels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from foveate.ops.layout import is_channels_last


def pointwise_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Mix the channels of each pixel.

    A channels-last map on a CPU is one matrix product; the library's convolution would take it
    through a slower general form.

    Args:
        x: The map.
        weight: The kernel.
        bias: Added to each output channel.

    Shape:
        - x: (N, C, H, W); weight: (C', C, 1, 1); bias: (C',); output: (N, C', H, W).
    """
    if x.device.type != "cpu" or x.dim() != 4 or not is_channels_last(x):
        return functional.conv2d(x, weight, bias)
    rows = functional.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias)
    return rows.permute(0, 3, 1, 2)

"""The deformable convolution as torchvision's operator, which ONNX has a node for."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from foveate.core import require
from foveate.ops.deform.arguments import Geometry


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Call ``torchvision.ops.deform_conv2d``; shapes as in the dispatcher.

    Only for graphs: run on a CPU it lacks bfloat16, and a NaN offset may end the process.
    """
    vision: Any = require("torchvision.ops", "models", "an exported DeformConv")
    dtype = input.dtype
    out: Tensor = vision.deform_conv2d(
        input,
        offset.to(dtype),
        weight,
        bias,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        None if mask is None else mask.to(dtype),
    )
    return out

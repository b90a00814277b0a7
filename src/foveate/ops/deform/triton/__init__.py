"""The backend ``triton``: kernels for NVIDIA and AMD GPUs, and for Triton's interpreter in tests.

Nothing here imports Triton before a tensor has to be computed.
"""

from __future__ import annotations

from torch import Tensor

from foveate.ops.deform import gather
from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton.launch import why_not
from foveate.ops.layout import is_channels_last
from foveate.ops.transforms import is_transformed

__all__ = ["deform_conv2d", "why_not"]


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Run the kernels; shapes as in the dispatcher.

    Forward-mode differentiation and ``torch.func`` transforms take the differentiable form.
    """
    tensors = (input, offset, weight, bias, mask)
    if is_transformed(*tensors):
        return gather.deform_conv2d(*tensors, geometry)
    from foveate.ops.deform.triton import operators

    last = is_channels_last(input)
    out: Tensor = operators.deform_conv2d(*tensors, geometry.sizes, last)
    return out

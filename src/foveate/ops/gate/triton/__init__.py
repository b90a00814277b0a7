"""The backend ``triton`` of the gate: one kernel up to 256 channels, two above.

Nothing here imports Triton before a tensor has to be computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton import launch, plan
from foveate.ops.deform.triton.layout import sections_of
from foveate.ops.gate import reference
from foveate.ops.transforms import is_transformed

__all__ = ["deform_gate", "gate_epilogue", "why_not"]

_MOST_CHANNELS = 16384  # of one block, which a program holds in its registers


def why_not(mixed: Tensor) -> list[str]:
    """Every reason why the kernels cannot run; ``mixed`` is the map that decides, or squeezed."""
    reasons = launch.why_not(mixed)
    if mixed.shape[1] > _MOST_CHANNELS:
        reasons.append(f"{mixed.shape[1]} channels are more than {_MOST_CHANNELS}")
    return reasons


def gate_epilogue(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    """Run the kernel; shapes as in the dispatcher.

    Forward-mode differentiation and ``torch.func`` transforms take the differentiable form.
    """
    tensors = (x, mixed, ln_weight, ln_bias)
    if is_transformed(*tensors):
        return reference.gate_epilogue(*tensors, eps)
    from foveate.ops.gate.triton import operators

    out: Tensor = operators.gate_epilogue(*tensors, eps)
    return out


def deform_gate(
    x: Tensor,
    squeezed: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    eps: float,
    geometry: Geometry,
) -> Tensor:
    """Run one fused kernel where the plan has one, else convolution and tail after each other."""
    tensors = (x, squeezed, offset, weight, bias, mask, ln_weight, ln_bias)
    if is_transformed(*tensors):
        return reference.differentiable_gate(*tensors, eps, geometry)
    from foveate.ops.deform.triton import operators as convolution
    from foveate.ops.gate.triton import operators

    sections = sections_of(squeezed, weight, geometry)
    cut = plan.choose(squeezed.dtype, sections.outputs, sections.width)
    if geometry.groups == 1 and cut.fuses(sections.outputs):
        keep = torch.is_grad_enabled() and any(o is not None and o.requires_grad for o in tensors)
        out: Tensor = operators.deform_gate(*tensors, eps, geometry.sizes, keep)[0]
        return out
    mixed = convolution.deform_conv2d(squeezed, offset, weight, bias, mask, geometry.sizes, True)
    fused: Tensor = operators.gate_epilogue(x, mixed, ln_weight, ln_bias, eps)
    return fused

"""The reference of the gate: its definition in ordinary operators, differentiable at will."""

from __future__ import annotations

from torch import Tensor

from foveate.ops.deform import Geometry, gather, reference
from foveate.ops.deform.arguments import coordinate_dtype
from foveate.ops.norm import channel_layer_norm


def gate_epilogue(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    """Multiply x by the sigmoid of the normalized map, in float32 at least."""
    wide = coordinate_dtype(mixed)
    weight, bias = (None if one is None else one.to(wide) for one in (ln_weight, ln_bias))
    gate = channel_layer_norm(mixed.to(wide), weight, bias, eps).sigmoid()
    return (x.to(wide) * gate).to(x.dtype)


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
    """The gate with the deformable convolution's reference."""
    mixed = reference.deform_conv2d(squeezed, offset, weight, bias, mask, geometry)
    return gate_epilogue(x, mixed, ln_weight, ln_bias, eps)


def differentiable_gate(
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
    """The gate with the gather form: vectorized, with derivatives of every order and mode."""
    mixed = gather.deform_conv2d(squeezed, offset, weight, bias, mask, geometry)
    return gate_epilogue(x, mixed, ln_weight, ln_bias, eps)

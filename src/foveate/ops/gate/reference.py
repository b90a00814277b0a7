"""The reference of the gate: its definition in ordinary operators, differentiable at will."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from foveate.ops.deform import Geometry, forms, reference
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


def _gate_on(convolve: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The gate on one form of the deformable convolution."""

    def run(
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
        mixed = convolve(squeezed, offset, weight, bias, mask, geometry)
        return gate_epilogue(x, mixed, ln_weight, ln_bias, eps)

    return run


deform_gate = _gate_on(reference.deform_conv2d)
# Vectorized, with derivatives of every order and mode; in an exported graph as that wants it.
differentiable_gate = _gate_on(forms.differentiable)

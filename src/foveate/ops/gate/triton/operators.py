"""The operators ``foveate::gate_epilogue_triton`` and ``foveate::deform_gate_triton``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op, triton_op

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton.compute import Tail, convolve
from foveate.ops.deform.triton.operators import deform_conv2d_backward
from foveate.ops.gate import autograd
from foveate.ops.gate.triton import compute
from foveate.ops.layout import like_rows

Pair = tuple[Tensor, Tensor]


@triton_op(
    "foveate::gate_epilogue_triton",
    mutates_args=(),
    schema="(Tensor x, Tensor mixed, Tensor? ln_weight, Tensor? ln_bias, float eps) -> Tensor",
)
def gate_epilogue(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    """Compute x * sigmoid(LayerNorm(mixed)) over channels."""
    return compute.epilogue(x, mixed, ln_weight, ln_bias, eps)


@custom_op(
    "foveate::gate_epilogue_triton_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor x, Tensor mixed, Tensor? ln_weight, Tensor? ln_bias, float eps)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
)
def gate_epilogue_backward(
    grad: Tensor,
    x: Tensor,
    mixed: Tensor,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients by x, mixed, scale and shift."""
    return compute.epilogue_backward(grad, x, mixed, ln_weight, ln_bias, eps)


@triton_op(
    "foveate::deform_gate_triton",
    mutates_args=(),
    schema="(Tensor x, Tensor squeezed, Tensor offset, Tensor weight, Tensor? bias, Tensor? mask,"
    " Tensor? ln_weight, Tensor? ln_bias, float eps, SymInt[] sizes, bool keep)"
    " -> (Tensor, Tensor)",
)
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
    sizes: list[int],
    keep: bool,
) -> Pair:
    """Gate in one kernel; the map before the norm is kept for a backward pass, else empty."""
    geometry = Geometry.of_sizes(sizes, squeezed, offset, weight)
    kept = _kept(x, squeezed, keep)
    tail = Tail(x, ln_weight, ln_bias, eps, kept if keep else None)
    return convolve(squeezed, offset, weight, bias, mask, geometry, False, tail), kept


def _kept(x: Tensor, squeezed: Tensor, keep: bool) -> Tensor:
    """Memory for the map before the norm, channels-last."""
    batch, channels, height, width = x.shape
    shape = (batch, height, width, channels) if keep else (0, 0, 0, 0)
    kept = torch.empty(shape, dtype=squeezed.dtype, device=x.device)
    return kept.permute(0, 3, 1, 2)


def _fake_epilogue(x: Tensor, *_: Any) -> Tensor:
    return like_rows(x)


def _fake_epilogue_backward(
    grad: Tensor,
    x: Tensor,
    mixed: Tensor,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, ...]:
    affine = (
        x.new_empty(0) if one is None else torch.empty_like(one) for one in (ln_weight, ln_bias)
    )
    return (like_rows(x), like_rows(mixed), *affine)


def _fake_gate(x: Tensor, squeezed: Tensor, *rest: Any) -> Pair:
    return like_rows(x), _kept(x, squeezed, rest[-1])


def _gate_backward(
    grad: Tensor,
    x: Tensor,
    squeezed: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    kept: Tensor,
    eps: float,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, ...]:
    """Gradients by x, squeezed, offset, weight, bias, mask, scale and shift."""
    by_x, by_mixed, *by_norm = gate_epilogue_backward(grad, x, kept, ln_weight, ln_bias, eps)
    inner = deform_conv2d_backward(by_mixed, squeezed, offset, weight, mask, sizes, wanted)
    return (by_x, *inner, *by_norm)


gate_epilogue.register_fake(_fake_epilogue)
gate_epilogue_backward.register_fake(_fake_epilogue_backward)
deform_gate.register_fake(_fake_gate)
gate_epilogue.register_autograd(
    autograd.differentiate_epilogue(gate_epilogue_backward), setup_context=autograd.save_epilogue
)
deform_gate.register_autograd(
    autograd.differentiate_gate(_gate_backward), setup_context=autograd.save_gate
)

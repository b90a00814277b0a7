"""The way of derivatives through gate and tail, the same for every backend that has kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from foveate.ops.deform import Geometry
from foveate.ops.gate import reference
from foveate.ops.transforms import second_order

_EPILOGUE_TENSORS, _GATE_TENSORS = 4, 8

Gradients = tuple["Tensor | None", ...]


def save_epilogue(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep the tensors and the epsilon of a call."""
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def differentiate_epilogue(backward: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Gradients]:
    """Return the backward pass, given ``backward(grad, *tensors, eps)`` of the first order."""

    def run(ctx: Any, grad: Tensor) -> Gradients:
        tensors, wanted = ctx.saved_tensors, list(ctx.needs_input_grad[:_EPILOGUE_TENSORS])
        if torch.is_grad_enabled():
            form = partial(reference.gate_epilogue, eps=ctx.eps)
            return (*second_order(form, tensors, wanted, grad), None)
        return (*_chosen(backward(grad, *tensors, ctx.eps), wanted), None)

    return run


def save_gate(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    """Keep the tensors, the map before the norm, the epsilon and the sizes of a call."""
    *tensors, ctx.eps, ctx.sizes, _ = inputs
    ctx.save_for_backward(*tensors, output[1])
    # The kept map has no derivative, and zeros in its place would be another map in memory.
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def differentiate_gate(backward: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Gradients]:
    """Return the backward pass, given ``backward(grad, *tensors, kept, eps, sizes, wanted)``.

    Its tensors are those of the call without the bias; it returns a gradient for each of the call.
    """

    def run(ctx: Any, grad: Tensor | None, _: None) -> Gradients:
        rest = (None,) * (len(ctx.needs_input_grad) - _GATE_TENSORS)
        if grad is None:
            return (None,) * _GATE_TENSORS + rest
        *tensors, kept = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:_GATE_TENSORS])
        x, squeezed, offset, weight, _bias, mask, *norm = tensors
        if torch.is_grad_enabled():
            geometry = Geometry.of_sizes(ctx.sizes, squeezed, offset, weight)
            form = partial(reference.differentiable_gate, eps=ctx.eps, geometry=geometry)
            return (*second_order(form, tensors, wanted, grad), *rest)
        needed = x, squeezed, offset, weight, mask, *norm, kept
        found = backward(grad, *needed, ctx.eps, ctx.sizes, wanted[1:6])
        return (*_chosen(found, wanted), *rest)

    return run


def _chosen(found: tuple[Tensor, ...], wanted: list[bool]) -> list[Tensor | None]:
    return [one if want else None for one, want in zip(found, wanted, strict=True)]

"""The way of derivatives through the operator, the same for every backend that has kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from foveate.ops.deform import gather
from foveate.ops.deform.arguments import Geometry
from foveate.ops.transforms import second_order

_TENSORS = 5

Gradients = tuple["Tensor | None", ...]


def save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep the tensors and the sizes of a call; whatever stands behind them is not needed."""
    ctx.sizes = inputs[_TENSORS]
    ctx.save_for_backward(*inputs[:_TENSORS])


def differentiate(backward: Callable[..., tuple[Tensor, ...]]) -> Callable[..., Gradients]:
    """Return the backward pass of an operator, given its gradients of the first order.

    ``create_graph=True`` takes the gather form: kernels have no second derivative.
    """

    def run(ctx: Any, grad: Tensor) -> Gradients:
        tensors = input, offset, weight, _, mask = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:_TENSORS])
        rest = (None,) * (len(ctx.needs_input_grad) - _TENSORS)
        if torch.is_grad_enabled():
            geometry = Geometry.of_sizes(ctx.sizes, input, offset, weight)
            form = partial(gather.deform_conv2d, geometry=geometry)
            return (*second_order(form, tensors, wanted, grad), *rest)
        found = backward(grad, input, offset, weight, mask, ctx.sizes, wanted)
        return (*(one if want else None for one, want in zip(found, wanted, strict=True)), *rest)

    return run

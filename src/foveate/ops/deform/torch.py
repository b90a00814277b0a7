"""The backend ``torch``: tiles on a CPU, the differentiable gather form everywhere else.

The tiles are one operator, ``foveate::deform_conv2d``, opaque to the compiler: a graph stays whole
and compiles in no time. Second derivatives, forward mode and ``torch.func`` transforms, which an
opaque operator would get wrong or refuse, take the gather form. An exported graph, which must run
without this package, takes the form that :mod:`foveate.ops.deform.forms` holds.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from foveate.ops.deform import autograd, forms, tiled
from foveate.ops.deform.arguments import Geometry, Wanted
from foveate.ops.layout import is_channels_last
from foveate.ops.operators import define, takes_operator


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Take the tiles where they can be had; shapes as in the dispatcher."""
    tensors = (input, offset, weight, bias, mask)
    if not takes_operator(*tensors):
        return forms.differentiable(*tensors, geometry)
    out: Tensor = torch.ops.foveate.deform_conv2d(*tensors, geometry.sizes)
    return out if is_channels_last(input) else out.contiguous()


def _forward(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    sizes: list[int],
) -> Tensor:
    geometry = Geometry.of_sizes(sizes, input, offset, weight)
    batch, out_channels = input.shape[0], weight.shape[0]
    out = input.new_empty(batch, *geometry.out, out_channels)
    tiled.forward(input, offset, weight, bias, mask, geometry, out.view(-1, out_channels))
    return out.permute(0, 3, 1, 2)


def _forward_fake(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    sizes: list[int],
) -> Tensor:
    batch, _, height, width = offset.shape
    return input.new_empty(batch, height, width, weight.shape[0]).permute(0, 3, 1, 2)


def _backward(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients by input, offset, weight, bias and mask; an unwanted one is an empty tensor."""
    geometry = Geometry.of_sizes(sizes, input, offset, weight)
    rows = grad.permute(0, 2, 3, 1).reshape(-1, weight.shape[0])
    found = tiled.backward(
        input, offset, weight, mask, geometry, lambda tile: rows[tile.rows], Wanted(*wanted)
    )
    a, b, c, d, e = (input.new_empty(0) if one is None else one for one in found)
    return a, b, c, d, e


def _backward_fake(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return tiled.like_gradients(input, offset, weight, mask, Wanted(*wanted))


def _first_order(*arguments: Any) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = torch.ops.foveate.deform_conv2d_backward(*arguments)
    return found


define(
    "deform_conv2d",
    "(Tensor input, Tensor offset, Tensor weight, Tensor? bias, Tensor? mask, int[] sizes)"
    " -> Tensor",
    _forward,
    _forward_fake,
    save=autograd.save,
    differentiate=autograd.differentiate(_first_order),
)
define(
    "deform_conv2d_backward",
    "(Tensor grad, Tensor input, Tensor offset, Tensor weight, Tensor? mask, int[] sizes,"
    " bool[] wanted) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    _backward,
    _backward_fake,
)

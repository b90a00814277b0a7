"""The backend ``torch`` of the gate: one pass over tiles on a CPU, ordinary operators elsewhere.

``foveate::deform_gate`` normalizes, squashes and multiplies a tile while the product of the
deformable convolution is still in the cache; the map between the two is kept for the backward pass
alone, and its gradient never exists as a whole. ``foveate::gate_epilogue`` is the tail on its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from foveate.ops.deform import Geometry, tiled
from foveate.ops.deform.arguments import coordinate_dtype
from foveate.ops.deform.rows import Tile
from foveate.ops.gate import reference
from foveate.ops.gate.rows import Affine, backward_, forward_, like_gradients
from foveate.ops.layout import from_rows, like_rows, to_rows
from foveate.ops.operators import define, takes_operator
from foveate.ops.transforms import second_order


def gate_epilogue(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    """Take the row blocks where they can be had; shapes as in the dispatcher."""
    tensors = (x, mixed, ln_weight, ln_bias)
    if not takes_operator(*tensors):
        return reference.gate_epilogue(*tensors, eps)
    out: Tensor = torch.ops.foveate.gate_epilogue(*tensors, eps)
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
    """Take the tiles where they can be had; shapes as in the dispatcher."""
    tensors = (x, squeezed, offset, weight, bias, mask, ln_weight, ln_bias)
    if not takes_operator(*tensors):
        return reference.differentiable_gate(*tensors, eps, geometry)
    keep = torch.is_grad_enabled() and any(o is not None and o.requires_grad for o in tensors)
    gated: Tensor = torch.ops.foveate.deform_gate(*tensors, eps, geometry.sizes, keep)[0]
    return gated


def _epilogue(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    affine = Affine(ln_weight, ln_bias, eps, x.shape[1], coordinate_dtype(mixed))
    rows = to_rows(x)
    out = torch.empty_like(rows)
    forward_(out, rows, to_rows(mixed), affine)
    return from_rows(out, x)


def _epilogue_fake(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    return like_rows(x)


def _epilogue_backward(
    grad: Tensor,
    x: Tensor,
    mixed: Tensor,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    affine = Affine(ln_weight, ln_bias, eps, x.shape[1], coordinate_dtype(mixed))
    x_rows, mixed_rows = to_rows(x), to_rows(mixed)
    by_x, by_mixed = torch.empty_like(x_rows), torch.empty_like(mixed_rows)
    backward_(by_x, by_mixed, to_rows(grad), x_rows, mixed_rows, affine)
    return (from_rows(by_x, x), from_rows(by_mixed, mixed), *affine.gradients(ln_weight, ln_bias))


def _epilogue_backward_fake(
    grad: Tensor,
    x: Tensor,
    mixed: Tensor,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (like_rows(x), like_rows(mixed), *like_gradients(x, ln_weight, ln_bias))


def _save_epilogue(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.eps = inputs
    ctx.save_for_backward(*tensors)


def _differentiate_epilogue(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    tensors, wanted = ctx.saved_tensors, list(ctx.needs_input_grad[:4])
    if torch.is_grad_enabled():
        run = partial(reference.gate_epilogue, eps=ctx.eps)
        return (*second_order(run, tensors, wanted, grad), None)
    found = torch.ops.foveate.gate_epilogue_backward(grad, *tensors, ctx.eps)
    return (*(one if want else None for one, want in zip(found, wanted, strict=True)), None)


def _gate(
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
) -> tuple[Tensor, Tensor]:
    """Return the gated map, and, to ``keep`` for the backward pass, the rows before the norm."""
    geometry = Geometry.of_sizes(sizes, squeezed, offset, weight)
    affine = Affine(ln_weight, ln_bias, eps, x.shape[1], coordinate_dtype(squeezed))
    rows = to_rows(x)
    out = torch.empty_like(rows)
    kept = squeezed.new_empty(rows.shape) if keep else None

    def finish(tile: Tile, mixed: Tensor) -> None:
        forward_(out[tile.rows], rows[tile.rows], mixed, affine)

    tiled.forward(squeezed, offset, weight, bias, mask, geometry, kept, finish)
    return from_rows(out, x), squeezed.new_empty(0) if kept is None else kept


def _gate_fake(
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
) -> tuple[Tensor, Tensor]:
    batch, channels, height, width = x.shape
    kept = squeezed.new_empty((batch * height * width, channels) if keep else (0,))
    return like_rows(x), kept


def _gate_backward(
    grad: Tensor,
    x: Tensor,
    squeezed: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    mixed: Tensor,
    eps: float,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, ...]:
    """Gradients by x, squeezed, offset, weight, bias, mask, scale and shift; empty if unwanted."""
    geometry = Geometry.of_sizes(sizes, squeezed, offset, weight)
    affine = Affine(ln_weight, ln_bias, eps, x.shape[1], coordinate_dtype(squeezed))
    rows, upstream = to_rows(x), to_rows(grad)
    by_x = torch.empty_like(rows)

    def differentiate(tile: Tile) -> Tensor:
        part = tile.rows
        by_mixed = torch.empty_like(mixed[part])
        backward_(by_x[part], by_mixed, upstream[part], rows[part], mixed[part], affine)
        return by_mixed

    found = tiled.backward(
        squeezed, offset, weight, mask, geometry, differentiate, tiled.Wanted(*wanted)
    )
    # An empty tensor for each: results of an operator may not share memory.
    inner = (x.new_empty(0) if one is None else one for one in found)
    return (from_rows(by_x, x), *inner, *affine.gradients(ln_weight, ln_bias))


def _gate_backward_fake(
    grad: Tensor,
    x: Tensor,
    squeezed: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    mixed: Tensor,
    eps: float,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, ...]:
    inner = tiled.like_gradients(squeezed, offset, weight, mask, tiled.Wanted(*wanted))
    return (like_rows(x), *inner, *like_gradients(x, ln_weight, ln_bias))


def _save_gate(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.eps, ctx.sizes, _ = inputs
    ctx.save_for_backward(*tensors, output[1])
    # The kept rows have no derivative, and zeros in its place would be another map in memory.
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _differentiate_gate(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 11
    *tensors, mixed = ctx.saved_tensors
    wanted = list(ctx.needs_input_grad[:8])
    x, squeezed, offset, weight, _bias, mask, ln_weight, ln_bias = tensors
    if torch.is_grad_enabled():
        geometry = Geometry.of_sizes(ctx.sizes, squeezed, offset, weight)
        run = partial(reference.differentiable_gate, eps=ctx.eps, geometry=geometry)
        return (*second_order(run, tensors, wanted, grad), None, None, None)
    found = torch.ops.foveate.deform_gate_backward(
        grad,
        *(x, squeezed, offset, weight, mask, ln_weight, ln_bias),
        *(mixed, ctx.eps, ctx.sizes, wanted[1:6]),
    )
    chosen = (one if want else None for one, want in zip(found, wanted, strict=True))
    return (*chosen, None, None, None)


define(
    "gate_epilogue",
    "(Tensor x, Tensor mixed, Tensor? ln_weight, Tensor? ln_bias, float eps) -> Tensor",
    _epilogue,
    _epilogue_fake,
    save=_save_epilogue,
    differentiate=_differentiate_epilogue,
)
define(
    "gate_epilogue_backward",
    "(Tensor grad, Tensor x, Tensor mixed, Tensor? ln_weight, Tensor? ln_bias, float eps)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    _epilogue_backward,
    _epilogue_backward_fake,
)
define(
    "deform_gate",
    "(Tensor x, Tensor squeezed, Tensor offset, Tensor weight, Tensor? bias, Tensor? mask,"
    " Tensor? ln_weight, Tensor? ln_bias, float eps, int[] sizes, bool keep) -> (Tensor, Tensor)",
    _gate,
    _gate_fake,
    save=_save_gate,
    differentiate=_differentiate_gate,
)
define(
    "deform_gate_backward",
    "(Tensor grad, Tensor x, Tensor squeezed, Tensor offset, Tensor weight, Tensor? mask,"
    " Tensor? ln_weight, Tensor? ln_bias, Tensor mixed, float eps, int[] sizes, bool[] wanted)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _gate_backward,
    _gate_backward_fake,
)

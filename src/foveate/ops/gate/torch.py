"""The backend ``torch`` of the gate: one pass over tiles on a CPU, ordinary operators elsewhere.

``foveate::deform_gate`` normalizes, squashes and multiplies a tile while the product of the
deformable convolution is still in the cache; the map between the two is kept for the backward pass
alone, and its gradient never exists as a whole. ``foveate::gate_epilogue`` is the tail on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from foveate.ops.deform import Geometry, tiled
from foveate.ops.deform.arguments import Wanted, coordinate_dtype
from foveate.ops.deform.rows import Tile
from foveate.ops.gate import autograd, reference
from foveate.ops.gate.rows import Affine, backward_, forward_, like_gradients
from foveate.ops.layout import from_rows, like_rows, to_rows
from foveate.ops.operators import define, takes_operator


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


def _epilogue_fake(x: Tensor, *_: Any) -> Tensor:
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


def _gate_fake(x: Tensor, squeezed: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    keep = rest[-1]
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

    found = tiled.backward(squeezed, offset, weight, mask, geometry, differentiate, Wanted(*wanted))
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
    inner = tiled.like_gradients(squeezed, offset, weight, mask, Wanted(*wanted))
    return (like_rows(x), *inner, *like_gradients(x, ln_weight, ln_bias))


def _first_order(name: str) -> Callable[..., tuple[Tensor, ...]]:
    """The backward operator of a name, looked up when it is called: it is defined below."""
    return lambda *arguments: getattr(torch.ops.foveate, name)(*arguments)


define(
    "gate_epilogue",
    "(Tensor x, Tensor mixed, Tensor? ln_weight, Tensor? ln_bias, float eps) -> Tensor",
    _epilogue,
    _epilogue_fake,
    save=autograd.save_epilogue,
    differentiate=autograd.differentiate_epilogue(_first_order("gate_epilogue_backward")),
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
    save=autograd.save_gate,
    differentiate=autograd.differentiate_gate(_first_order("deform_gate_backward")),
)
define(
    "deform_gate_backward",
    "(Tensor grad, Tensor x, Tensor squeezed, Tensor offset, Tensor weight, Tensor? mask,"
    " Tensor? ln_weight, Tensor? ln_bias, Tensor mixed, float eps, int[] sizes, bool[] wanted)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _gate_backward,
    _gate_backward_fake,
)

"""The two passes, from kernels and matrix products."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton import backward, forward, plan
from foveate.ops.deform.triton.launch import blocks, launch
from foveate.ops.deform.triton.layout import (
    Sections,
    flat,
    pack_weight,
    sections_of,
    unpack_rows,
    unpack_weight,
)
from foveate.ops.deform.triton.source import Source

_BLOCK_M = 64  # pixels of a program that moves memory and multiplies little


@dataclass(frozen=True)
class Tail:
    """The end of a gate: x * sigmoid(LayerNorm(result)); scale and shift together or neither."""

    x: Tensor
    scale: Tensor | None
    shift: Tensor | None
    eps: float


def convolve(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
    channels_last: bool,
    tail: Tail | None = None,
) -> Tensor:
    """The forward pass, (N, C', H', W') in the memory format asked for.

    A tail is for plans that fuse it.
    """
    sections = sections_of(input, weight, geometry)
    source = Source.of(input, offset, mask, geometry, sections)
    packed = pack_weight(weight, sections, geometry)
    cut = plan.choose(input.dtype, sections.outputs, sections.width)
    shape = (input.shape[0], weight.shape[0], *geometry.out)
    if cut.scheme == "columns":
        out = _multiply(_columns(source, cut), packed, bias)
        out = out.view(shape[0], *geometry.out, shape[1]).permute(0, 3, 1, 2)
        return out if channels_last else out.contiguous()
    if tail is not None:
        out = torch.empty_like(tail.x)
    else:
        format = torch.channels_last if channels_last else torch.contiguous_format
        out = torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=format)
    x, scale, shift, eps = (
        (out, None, None, 0.0) if tail is None else (tail.x, tail.scale, tail.shift, tail.eps)
    )
    x, *of_x = flat(x)
    launch(
        forward.implicit,
        blocks(source.pixels, cut.block_m) * geometry.groups * blocks(sections.outputs, cut.block_n),
        *source.arguments,
        packed,
        packed if bias is None else bias,
        *flat(out),
        x,
        *of_x,
        packed if scale is None else scale,
        packed if shift is None else shift,
        eps,
        **source.constants,
        groups=geometry.groups,
        group_out=sections.outputs,
        has_bias=bias is not None,
        gate=tail is not None,
        affine=scale is not None,
        block_m=cut.block_m,
        block_n=cut.block_n,
        block_k=cut.block_k,
        num_warps=cut.warps,
        num_stages=cut.stages,
    )
    return out


def _columns(source: Source, cut: plan.Plan) -> Tensor:
    """The sampled rows (P, S K R), zeros in the padding."""
    columns = source.rows.new_empty(source.pixels, source.columns)
    launch(
        forward.columns,
        blocks(source.pixels, cut.block_m) * source.channels,
        *source.arguments,
        columns,
        **source.constants,
        block_m=cut.block_m,
        block_k=cut.block_k,
        num_warps=cut.warps,
        num_stages=cut.stages,
    )
    return columns


def _multiply(columns: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """Columns (P, G K) times weights (G, K, C' / G), as rows (P, C')."""
    groups = packed.shape[0]
    if groups == 1:
        return columns @ packed[0] if bias is None else torch.addmm(bias, columns, packed[0])
    split = columns.view(columns.shape[0], groups, -1).transpose(0, 1)
    out = torch.bmm(split, packed).transpose(0, 1).reshape(columns.shape[0], -1)
    return out if bias is None else out + bias


@dataclass(frozen=True)
class Wanted:
    """Which gradients are wanted."""

    input: bool
    offset: bool
    weight: bool
    bias: bool
    mask: bool


def gradients(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    geometry: Geometry,
    wanted: Wanted,
) -> tuple[Tensor, ...]:
    """Gradients by input, offset, weight, bias and mask; an unwanted one is empty.

    Both products with the weights are the library's: of columns and of their gradient, which are
    in memory for a few images at a time, small enough to stay in the cache. The kernel between
    them reads each corner once for all that it is needed for.
    """
    sections = sections_of(input, weight, geometry)
    source = Source.of(input, offset, mask, geometry, sections)
    packed = pack_weight(weight, sections, geometry)
    upstream = grad.permute(0, 2, 3, 1).reshape(source.pixels, geometry.groups, -1)
    fixed = torch.are_deterministic_algorithms_enabled()
    wants_offset = wanted.offset or wanted.mask
    by_rows = _rows_like(source, wanted.input, fixed)
    by_offset = _like(offset, wants_offset)
    by_mask = _like(mask, wants_offset)
    by_weight = packed.new_zeros(packed.shape, dtype=torch.float32)
    per_image = geometry.out[0] * geometry.out[1]
    bytes_of_image = per_image * source.columns * input.element_size()
    step = max(1, plan.TILE_BYTES // max(1, bytes_of_image))
    for first in range(0, input.shape[0], step):
        images = slice(first, first + step)
        part = source.images(first, first + step)
        above = upstream[first * per_image : (first + step) * per_image]
        columns = _step(
            part,
            _columns_gradient(above, packed),
            by_rows[images] if wanted.input else by_rows,
            by_offset[images] if wants_offset else by_offset,
            by_mask[images] if wants_offset and mask is not None else by_mask,
            wanted,
            fixed,
        )
        if wanted.weight:
            by_weight += _weight_gradient(columns, above)
    like = input.new_empty(0)
    return (
        unpack_rows(by_rows, sections, input) if wanted.input else like,
        by_offset if wanted.offset else like,
        unpack_weight(by_weight, weight, sections, geometry) if wanted.weight else like,
        upstream.flatten(1).sum(0, dtype=torch.float32).to(weight.dtype) if wanted.bias else like,
        by_mask if wanted.mask else like,
    )


def _rows_like(source: Source, wanted: bool, fixed: bool) -> Tensor:
    """Where the input gradient gathers: float32 zeros to add to, or rows to write once."""
    if not wanted:
        return source.rows
    if fixed:
        return torch.empty_like(source.rows)
    return torch.zeros_like(source.rows, dtype=torch.float32)


def _like(x: Tensor | None, wanted: bool) -> Tensor:
    """A contiguous gradient to be written, or an empty one."""
    if x is None or not wanted:
        return torch.empty(0, device=None if x is None else x.device)
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _columns_gradient(upstream: Tensor, packed: Tensor) -> Tensor:
    """Rows (P, G, C' / G) times weights, transposed: the gradient (P, G K) of the columns."""
    if packed.shape[0] == 1:
        return upstream[:, 0] @ packed[0].T
    product = torch.bmm(upstream.transpose(0, 1), packed.transpose(1, 2))
    return product.transpose(0, 1).flatten(1)


def _weight_gradient(columns: Tensor, upstream: Tensor) -> Tensor:
    """Columns, transposed, times rows: the gradient (G, K, C' / G) of the packed weights."""
    groups = upstream.shape[1]
    if groups == 1:
        return (columns.T @ upstream[:, 0])[None]
    split = columns.view(columns.shape[0], groups, -1).permute(1, 2, 0)
    return torch.bmm(split, upstream.transpose(0, 1))

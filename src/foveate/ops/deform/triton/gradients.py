"""The backward pass: columns rebuilt a few images at a time, two products, one kernel between."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry, Wanted
from foveate.ops.deform.triton import backward, plan
from foveate.ops.deform.triton.launch import blocks, launch
from foveate.ops.deform.triton.layout import (
    pack_weight,
    sections_of,
    unpack_rows,
    unpack_weight,
)
from foveate.ops.deform.triton.source import Source

_BLOCK_M = 128  # samples whose cells a program finds
_ENTRIES = 16  # samples that a program gathers at a time


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
    upstream = grad.permute(0, 2, 3, 1).reshape(source.pixels, geometry.groups, sections.outputs)
    fixed = torch.are_deterministic_algorithms_enabled()
    # What is added to is float32 and starts at zero; what is written once is neither.
    rows = source.rows
    by_rows = torch.empty_like(rows) if fixed else torch.zeros_like(rows, dtype=torch.float32)
    by_offset = torch.empty_like(offset, memory_format=torch.contiguous_format)
    modulation = offset if mask is None else mask
    by_mask = torch.empty_like(modulation, memory_format=torch.contiguous_format)
    by_weight = torch.zeros_like(packed, dtype=torch.float32)
    block_m, block_k = plan.block_of(sections.width, 1024)
    per_image = geometry.out[0] * geometry.out[1]
    step = max(1, plan.TILE_BYTES // (per_image * source.columns * input.element_size()))
    for first in range(0, input.shape[0], step):
        images = slice(first, first + step)
        part = source.images(images)
        above = upstream[first * per_image : (first + step) * per_image]
        by_columns = _by_columns(above, packed)
        columns = torch.empty_like(by_columns)
        launch(
            backward.differentiate,
            blocks(part.pixels, block_m) * part.channels,
            *part.arguments,
            by_columns,
            columns,
            by_rows[images],
            by_offset[images],
            by_mask[images],
            **part.constants,
            want_columns=wanted.weight,
            want_input=wanted.input and not fixed,
            want_offset=wanted.offset or wanted.mask,
            block_m=block_m,
            block_k=block_k,
            num_warps=4,
            num_stages=1,
        )
        if wanted.input and fixed:
            _collect(part, by_columns, by_rows[images])
        if wanted.weight:
            by_weight += _by_weight(columns, above)

    def one(is_wanted: bool, make: Callable[[], Tensor]) -> Tensor:
        return make() if is_wanted else input.new_empty(0)

    return (
        one(wanted.input, lambda: unpack_rows(by_rows, sections, input)),
        one(wanted.offset, lambda: by_offset),
        one(wanted.weight, lambda: unpack_weight(by_weight, weight, sections, geometry)),
        one(wanted.bias, lambda: _by_bias(upstream, weight)),
        one(wanted.mask, lambda: by_mask),
    )


def _collect(source: Source, by_columns: Tensor, by_rows: Tensor) -> None:
    """Gather the input gradient of some images in a fixed order, without atomic additions."""
    images, height, width = source.rows.shape[:3]
    outside = images * source.geometry.offset_groups * (height + 1) * (width + 1)
    cells = torch.empty(
        source.channels * source.pixels, dtype=torch.int32, device=source.rows.device
    )
    launch(
        backward.cells,
        blocks(source.pixels, _BLOCK_M) * source.channels,
        *source.arguments,
        cells,
        outside,
        **source.constants,
        block_m=_BLOCK_M,
    )
    cells, order = torch.sort(cells, stable=True)
    bounds = torch.arange(outside + 1, dtype=torch.int32, device=cells.device)
    launch(
        backward.collect,
        images * height * width * source.sections.count,
        *source.arguments,
        by_columns,
        order,
        torch.searchsorted(cells, bounds),
        by_rows,
        **source.constants,
        entries=_ENTRIES,
        block_k=plan.power_of_two(source.sections.width, 16, 128),
        num_warps=1,
    )


def _by_bias(upstream: Tensor, weight: Tensor) -> Tensor:
    return upstream.flatten(1).sum(0, dtype=torch.float32).to(weight.dtype)


def _by_columns(upstream: Tensor, packed: Tensor) -> Tensor:
    """Rows (P, G, C' / G) times weights, transposed: the gradient (P, G K) of the columns."""
    if packed.shape[0] == 1:
        return upstream[:, 0] @ packed[0].T
    product = torch.bmm(upstream.transpose(0, 1), packed.transpose(1, 2))
    return product.transpose(0, 1).flatten(1)


def _by_weight(columns: Tensor, upstream: Tensor) -> Tensor:
    """Columns, transposed, times rows: the gradient (G, K, C' / G) of the packed weights."""
    groups = upstream.shape[1]
    if groups == 1:
        return (columns.T @ upstream[:, 0])[None]
    split = columns.view(columns.shape[0], groups, columns.shape[1] // groups).permute(1, 2, 0)
    return torch.bmm(split, upstream.transpose(0, 1))

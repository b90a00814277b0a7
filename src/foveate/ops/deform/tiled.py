"""Deformable convolution on a CPU, tile by tile: sample, multiply, forget.

The columns of a tile stay in the cache and are rebuilt in the backward pass instead of saved.
Gradients of the first order only; the differentiable form is in ``gather``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry, Wanted
from foveate.ops.deform.products import Product, product_of
from foveate.ops.deform.rows import Frame, Tile, tiles
from foveate.ops.deform.samples import Sampler, Samples


class Gradients(NamedTuple):
    """Derivatives by each tensor of a call; None where not wanted."""

    input: Tensor | None
    offset: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    mask: Tensor | None


def forward(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
    out: Tensor | None,
    finish: Callable[[Tile, Tensor], None] | None = None,
) -> None:
    """Compute the rows of every tile, (pixels, C'), and hand them over.

    Args:
        input: (N, C, H, W).
        offset: (N, 2 D K, H', W').
        weight: (C', C / G, kh, kw).
        bias: (C',) or None.
        mask: (N, D K, H', W') or None.
        geometry: The sizes.
        out: Where the rows go, (N H' W', C'), in the dtype of the input; None for a place of each
            tile's own, forgotten afterwards.
        finish: Called with each tile and its rows.
    """
    _, rows, sampler = _prepare(input, offset, mask, geometry)
    product = product_of(weight, bias, geometry)
    for tile in tiles(input.shape[0], input.shape[1], rows.element_size(), geometry):
        part = input.new_empty(tile.count, weight.shape[0]) if out is None else out[tile.rows]
        product.forward_(part, _columns(sampler.tile(tile), rows).to(input.dtype))
        if finish is not None:
            finish(tile, part)


def backward(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    geometry: Geometry,
    upstream: Callable[[Tile], Tensor],
    wanted: Wanted,
) -> Gradients:
    """Return the gradients, given those by the rows of each tile.

    Args:
        input: As in :func:`forward`, and so offset, weight, mask and geometry.
        offset: See there.
        weight: See there.
        mask: See there.
        geometry: See there.
        upstream: Returns the gradient by a tile's rows, (pixels, C'), in the dtype of the input.
        wanted: Which gradients to compute.
    """
    frame, rows, sampler = _prepare(input, offset, mask, geometry)
    product = product_of(weight, None, geometry)
    batch, channels = input.shape[:2]
    out = _Accumulators(input, offset, weight, mask, rows, product, geometry, wanted)
    for tile in tiles(batch, channels, rows.element_size(), geometry):
        out.add_(tile, upstream(tile), sampler)
    return out.finish(frame, input, weight)


def like_gradients(
    input: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, wanted: Wanted
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Empty tensors of the shapes, strides and dtypes that :func:`backward` returns."""
    last = torch.channels_last
    found = (
        torch.empty_like(input) if wanted.input else None,
        torch.empty_like(offset, memory_format=last) if wanted.offset else None,
        torch.empty_like(weight, memory_format=last) if wanted.weight else None,
        weight.new_empty(weight.shape[0]) if wanted.bias else None,
        torch.empty_like(mask, memory_format=last) if mask is not None and wanted.mask else None,
    )
    a, b, c, d, e = (input.new_empty(0) if one is None else one for one in found)
    return a, b, c, d, e


class _Accumulators:
    """The gradients while tiles add to them, in float32 at least."""

    def __init__(
        self,
        input: Tensor,
        offset: Tensor,
        weight: Tensor,
        mask: Tensor | None,
        rows: Tensor,
        product: Product,
        geometry: Geometry,
        wanted: Wanted,
    ) -> None:
        batch, pixels = offset.shape[0], geometry.out[0] * geometry.out[1]
        self.geometry, self.product, self.wanted = geometry, product, wanted
        self.source = rows
        self.rows = torch.zeros_like(rows) if wanted.input else None
        self.kernels: Tensor | None = None
        self.bias = rows.new_zeros(weight.shape[0]) if wanted.bias else None
        shape = (batch, pixels, geometry.offset_groups, geometry.taps)
        self.offset = offset.new_empty(*shape, 2) if wanted.offset else None
        self.mask = mask.new_empty(shape) if mask is not None and wanted.mask else None

    def add_(self, tile: Tile, grad: Tensor, sampler: Sampler) -> None:
        """Add a tile's share, given the gradient by its rows; nothing of the tile outlives it."""
        wanted = self.wanted
        if self.bias is not None:
            self.bias += grad.sum(0, dtype=self.source.dtype)
        places, lookups = wanted.offset or wanted.mask, wanted.input or wanted.weight
        if not (places or lookups):
            return
        samples = sampler.tile(tile)
        index = samples.index() if wanted.weight or places else None
        shares = samples.shares() if lookups else None
        if wanted.weight and index is not None and shares is not None:
            columns = samples.read(self.source, index, shares).to(grad.dtype)
            self.kernels = self.product.by_weight(self.kernels, grad, columns)
            del columns
        if not (wanted.input or places):
            return
        by_columns = self.product.by_columns(grad).to(self.source.dtype)
        by_columns = by_columns.view(-1, self.source.shape[1])
        if places and index is not None:
            self._put(tile, samples.differentiate(self.source, index, by_columns))
        if self.rows is not None and shares is not None:
            samples.scatter_(self.rows, by_columns, shares)

    def _put(self, tile: Tile, gradients: tuple[Tensor, ...]) -> None:
        """Write the derivatives by offsets and mask of a tile."""
        images, pixels = slice(*tile.images), slice(*tile.pixels)
        groups, taps = self.geometry.offset_groups, self.geometry.taps
        shape = (tile.images[1] - tile.images[0], -1, taps, groups)
        down, along, mask = (one.view(shape).transpose(2, 3) for one in gradients)
        if self.offset is not None:
            target = self.offset[images, pixels]
            target[..., 0], target[..., 1] = down, along
        if self.mask is not None:
            self.mask[images, pixels] = mask

    def finish(self, frame: Frame, input: Tensor, weight: Tensor) -> Gradients:
        """Return the gradients in the shapes and dtypes of the tensors they belong to."""
        batch, channels = input.shape[:2]
        out_h, out_w = self.geometry.out
        by_input = by_weight = None
        if self.rows is not None:
            inside = frame.remove(self.rows, batch, channels)
            by_input = torch.empty_like(input).copy_(inside)
        if self.kernels is not None:
            by_weight = self.product.restore(self.kernels).to(weight.dtype)
        elif self.wanted.weight:
            by_weight = torch.zeros_like(weight, memory_format=torch.channels_last)
        size = (batch, out_h, out_w)
        by_offset, by_mask = (
            None if one is None else one.view(*size, one.shape[2:].numel()).permute(0, 3, 1, 2)
            for one in (self.offset, self.mask)
        )
        by_bias = None if self.bias is None else self.bias.to(weight.dtype)
        return Gradients(by_input, by_offset, by_weight, by_bias, by_mask)


def _columns(samples: Samples, rows: Tensor) -> Tensor:
    return samples.read(rows, samples.index(), samples.shares())


def _prepare(
    input: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry
) -> tuple[Frame, Tensor, Sampler]:
    frame = Frame(input.shape[2], input.shape[3], geometry.offset_groups)
    rows = frame.add(input)
    return frame, rows, Sampler(offset, mask, frame, geometry, rows.dtype)

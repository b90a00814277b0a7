"""The forward pass: one kernel, or columns and a matrix product of the library."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry
from foveate.ops.deform.triton import forward, plan
from foveate.ops.deform.triton.launch import blocks, launch
from foveate.ops.deform.triton.layout import flat, pack_weight, sections_of
from foveate.ops.deform.triton.source import Source
from foveate.ops.layout import like_rows


@dataclass(frozen=True)
class Tail:
    """The end of a gate, x * sigmoid(LayerNorm(result)), with the memory to keep the result in."""

    x: Tensor
    scale: Tensor | None = None
    shift: Tensor | None = None
    eps: float = 0.0
    kept: Tensor | None = None


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
    if tail is None:
        format = torch.channels_last if channels_last else torch.contiguous_format
        out = torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=format)
        tail, gate = Tail(out), False
    else:
        out, gate = like_rows(tail.x), True
    launch(
        forward.implicit,
        blocks(source.pixels, cut.block_m)
        * geometry.groups
        * blocks(sections.outputs, cut.block_n),
        *source.arguments,
        packed,
        packed if bias is None else bias,  # any pointer does where none is read
        *flat(out),
        *flat(tail.x),
        packed if tail.kept is None else tail.kept,
        packed if tail.scale is None else tail.scale,
        packed if tail.shift is None else tail.shift,
        tail.eps,
        **source.constants,
        groups=geometry.groups,
        group_out=sections.outputs,
        has_bias=bias is not None,
        gate=gate,
        keep=tail.kept is not None,
        has_scale=tail.scale is not None,
        has_shift=tail.shift is not None,
        block_m=cut.block_m,
        block_n=cut.block_n,
        block_k=cut.block_k,
        num_warps=cut.warps,
        num_stages=cut.stages,
    )
    return out


def _columns(source: Source, cut: plan.Plan) -> Tensor:
    """The sampled rows (P, S K R), zeros in the padding."""
    rows = source.rows
    shape = (source.pixels, source.columns)
    columns = torch.empty(shape, dtype=rows.dtype, device=rows.device)
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
    split = columns.view(columns.shape[0], groups, columns.shape[1] // groups).transpose(0, 1)
    out = torch.bmm(split, packed).transpose(0, 1).flatten(1).contiguous()
    return out if bias is None else out + bias

"""The reference: a loop over offset groups and taps, too simple to be wrong.

Written from the definition (Zhu et al., Deformable ConvNets v2, arXiv:1811.11168, eq. 1): output
pixel p is the sum over taps k of ``weight[k] * mask[k] * input(p * stride - padding + k * dilation
+ offset[k])``, where ``input(y, x)`` blends the four pixels around (y, x) and is zero outside.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry, coordinate_dtype


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Sum the taps one after another, in float32 at least; shapes as in the dispatcher."""
    wide = coordinate_dtype(input)
    maps, kernels = input.to(wide), weight.to(wide)
    out_h, out_w = geometry.out
    rows = torch.arange(out_h, device=input.device, dtype=wide)[:, None] * geometry.stride[0]
    cols = torch.arange(out_w, device=input.device, dtype=wide)[None, :] * geometry.stride[1]
    per_offset = maps.shape[1] // geometry.offset_groups
    per_weight = maps.shape[1] // geometry.groups
    out_per_weight = kernels.shape[0] // geometry.groups
    result = maps.new_zeros((maps.shape[0], kernels.shape[0], out_h, out_w))
    for tap in range(geometry.taps):
        i, j = divmod(tap, geometry.kernel[1])
        parts = []
        for group in range(geometry.offset_groups):
            index = group * geometry.taps + tap
            y = rows - geometry.padding[0] + i * geometry.dilation[0]
            x = cols - geometry.padding[1] + j * geometry.dilation[1]
            y = y + offset[:, 2 * index].to(wide)
            x = x + offset[:, 2 * index + 1].to(wide)
            part = bilinear(maps[:, group * per_offset : (group + 1) * per_offset], y, x)
            if mask is not None:
                part = part * mask[:, index : index + 1].to(wide)
            parts.append(part)
        sampled = torch.cat(parts, dim=1)
        outs = []
        for group in range(geometry.groups):
            chosen = kernels[group * out_per_weight : (group + 1) * out_per_weight, :, i, j]
            part = sampled[:, group * per_weight : (group + 1) * per_weight]
            outs.append(torch.einsum("nchw,oc->nohw", part, chosen))
        result = result + torch.cat(outs, dim=1)
    if bias is not None:
        result = result + bias.to(wide)[None, :, None, None]
    return result.to(input.dtype)


def bilinear(maps: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Blend the four pixels around each point; outside is zero, a NaN coordinate gives NaN.

    Shape:
        - maps: (N, C, H, W); y, x: (N, P, Q) in pixels; output: (N, C, P, Q).
    """
    height, width = maps.shape[2:]
    unknown = y.isnan() | x.isnan()
    # Two pixels outside everything is zero already; clamping keeps floor within an integer's range
    # and gives huge and infinite coordinates a zero gradient.
    y_in = y.clamp(-2, height + 1).nan_to_num(-2.0)
    x_in = x.clamp(-2, width + 1).nan_to_num(-2.0)
    top, left = y_in.detach().floor(), x_in.detach().floor()
    low, right = y_in - top, x_in - left
    flat = maps.flatten(2)
    total = maps.new_zeros((*maps.shape[:2], *y.shape[1:]))
    for row, row_weight in ((top, 1 - low), (top + 1, low)):
        for col, col_weight in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
            index = torch.where(inside, row * width + col, 0).long()
            index = index.flatten(1)[:, None].expand(-1, maps.shape[1], -1)
            value = flat.gather(2, index).reshape(total.shape)
            # `where` and not a product: a pixel that is not read must not leak its NaN.
            value = torch.where(inside[:, None], value, 0)
            total = total + value * (row_weight * col_weight)[:, None]
    return total + nan_where(unknown, y, x)[:, None]


def nan_where(unknown: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """NaN where a coordinate is NaN, zero elsewhere; the gradient of those coordinates is NaN too.

    Infinite coordinates are taken out first, because infinity times zero is NaN, and the products
    are added instead of the coordinates, whose sum may overflow.
    """
    scale = torch.where(unknown, math.nan, 0.0).to(y.dtype)
    return torch.where(y.isinf(), 0, y) * scale + torch.where(x.isinf(), 0, x) * scale

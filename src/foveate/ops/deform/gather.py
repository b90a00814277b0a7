"""The vectorized backend: four gathers and one matrix product, on every device.

Rows of contiguous channels are gathered for the four corners of every sample, blended, and
multiplied by the weights. Every step has a derivative of every order, forward mode included.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry, coordinate_dtype
from foveate.ops.deform.reference import nan_where
from foveate.ops.layout import is_channels_last


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Gather, blend and multiply; shapes as in the dispatcher."""
    batch, out_channels = input.shape[0], weight.shape[0]
    columns = sample(input, offset, mask, geometry)
    out = _multiply(columns, weight, bias, geometry)
    out = out.reshape(batch, *geometry.out, out_channels).permute(0, 3, 1, 2)
    return out if is_channels_last(input) else out.contiguous()


def sample(input: Tensor, offset: Tensor, mask: Tensor | None, geometry: Geometry) -> Tensor:
    """Read the input at every sampling point.

    Shape:
        - output: (N, P, K, C) with P output pixels, in the dtype of the input.
    """
    batch, channels, height, width = input.shape
    groups, taps = geometry.offset_groups, geometry.taps
    pixels = geometry.out[0] * geometry.out[1]
    wide = coordinate_dtype(input)
    y, x = _coordinates(offset.to(wide), geometry)  # (N, P, K, D)
    unknown = y.isnan() | x.isnan()
    poison = nan_where(unknown, y, x)
    # Outside [-2, size + 1] everything is zero: the clamp bounds the integers below and gives
    # huge and infinite coordinates a zero gradient. It keeps NaN, hence nan_to_num.
    y = y.clamp(-2, height + 1).nan_to_num(-2.0)
    x = x.clamp(-2, width + 1).nan_to_num(-2.0)
    top, left = y.detach().floor(), x.detach().floor()
    low, right = y - top, x - left
    modulation = None
    if mask is not None:
        modulation = mask.to(wide).reshape(batch, groups, taps, pixels).permute(0, 3, 2, 1)
    # One row of channels per pixel, and one row of zeros after the last for all that is outside:
    # a weight of zero would not do, because zero times a NaN elsewhere in the map is NaN.
    rows = input.reshape(batch, groups, channels // groups, height * width).transpose(2, 3)
    rows = rows.reshape(batch * groups * height * width, channels // groups)
    zero_row = rows.shape[0]
    rows = torch.nn.functional.pad(rows, (0, 0, 0, 1)).to(wide)
    base = torch.arange(batch * groups, device=input.device) * (height * width)
    base = base.reshape(batch, 1, 1, groups)
    total: Tensor | None = None
    for row, row_weight in ((top, 1 - low), (top + 1, low)):
        for col, col_weight in ((left, 1 - right), (left + 1, right)):
            inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
            index = torch.where(inside, base + (row * width + col).long(), zero_row)
            share = row_weight * col_weight
            if modulation is not None:
                share = share * modulation
            corner = rows.index_select(0, index.reshape(-1))
            corner = corner.reshape(*index.shape, channels // groups)
            corner = corner * share[..., None]
            total = corner if total is None else total + corner
    if modulation is not None:
        poison = poison * modulation
    sampled = poison[..., None] if total is None else total + poison[..., None]
    return sampled.to(input.dtype).reshape(batch, pixels, taps, channels)


def _coordinates(offset: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Absolute sampling points (y, x) in pixels, each (N, P, K, D) with D offset groups."""
    batch, (out_h, out_w), taps = offset.shape[0], geometry.out, geometry.taps
    kernel_w = geometry.kernel[1]
    shifts = offset.reshape(batch, geometry.offset_groups, taps, 2, out_h * out_w)
    shifts = shifts.permute(0, 4, 2, 1, 3)
    tap = torch.arange(taps, device=offset.device)
    # Rows and columns apart: a remainder by a size that is left open has no ONNX.
    row = torch.arange(out_h, device=offset.device) * geometry.stride[0] - geometry.padding[0]
    col = torch.arange(out_w, device=offset.device) * geometry.stride[1] - geometry.padding[1]
    row = row[:, None].expand(out_h, out_w).reshape(-1)
    col = col[None].expand(out_h, out_w).reshape(-1)
    tap_row = tap.div(kernel_w, rounding_mode="floor") * geometry.dilation[0]
    tap_col = tap.remainder(kernel_w) * geometry.dilation[1]
    y = (row[:, None] + tap_row)[None, :, :, None].to(offset.dtype) + shifts[..., 0]
    x = (col[:, None] + tap_col)[None, :, :, None].to(offset.dtype) + shifts[..., 1]
    return y, x


def _multiply(columns: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Multiply the columns by the weights of their group; output (N * P, C_out)."""
    batch, pixels, taps, channels = columns.shape
    groups, out_channels = geometry.groups, weight.shape[0]
    kernels = weight.permute(0, 2, 3, 1).reshape(out_channels, taps * (channels // groups))
    if groups == 1:
        flat = columns.reshape(batch * pixels, taps * channels)
        return torch.nn.functional.linear(flat, kernels, bias)
    split = columns.reshape(batch * pixels, taps, groups, channels // groups)
    split = split.permute(2, 0, 1, 3).reshape(groups, batch * pixels, -1)
    kernels = kernels.reshape(groups, out_channels // groups, -1).transpose(1, 2)
    out = torch.bmm(split, kernels).transpose(0, 1).reshape(batch * pixels, out_channels)
    return out if bias is None else out + bias

"""The deformable convolution as one ``grid_sample`` and one pointwise convolution.

For runtimes that know GridSample and not DeformConv: the exported graph holds nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from foveate.ops.deform.arguments import Geometry, coordinate_dtype


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    geometry: Geometry,
) -> Tensor:
    """Sample all taps as one tall map, then mix channels and taps; shapes as in the dispatcher."""
    batch, channels, height, width = input.shape
    groups, taps, (out_h, out_w) = geometry.offset_groups, geometry.taps, geometry.out
    wide = coordinate_dtype(input)
    y, x = _coordinates(offset.to(wide), geometry)
    # The clamp makes infinite ones read zero.
    scaled = _scaled(x.clamp(-2, width + 1), width), _scaled(y.clamp(-2, height + 1), height)
    # Taps before pixels, so that what is sampled lies as the kernel of a convolution has it.
    grid = torch.stack(scaled, dim=-1).reshape(batch * groups, taps * out_h, out_w, 2)
    folded = input.to(wide).reshape(batch * groups, channels // groups, height, width)
    sampled = functional.grid_sample(
        folded, grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    if mask is not None:
        sampled = sampled * mask.to(wide).reshape(batch * groups, 1, taps * out_h, out_w)
    columns = sampled.to(input.dtype).reshape(batch, channels * taps, out_h, out_w)
    kernel = weight.reshape(weight.shape[0], -1, 1, 1)
    return functional.conv2d(columns, kernel, bias, groups=geometry.groups)


def _coordinates(offset: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Absolute sampling points (y, x) in pixels, each (N, D, K, H', W')."""
    (out_h, out_w), across = geometry.out, geometry.kernel[1]
    shape = (offset.shape[0], geometry.offset_groups, geometry.taps, 2, out_h, out_w)
    shifts = offset.reshape(shape)
    device, dtype = offset.device, offset.dtype
    tap = torch.arange(geometry.taps, device=device).view(-1, 1, 1)
    starts = (
        tap.div(across, rounding_mode="floor") * geometry.dilation[0] - geometry.padding[0],
        tap.remainder(across) * geometry.dilation[1] - geometry.padding[1],
    )
    rows = torch.arange(out_h, device=device)[:, None] * geometry.stride[0]
    cols = torch.arange(out_w, device=device)[None] * geometry.stride[1]
    y = (starts[0] + rows).to(dtype) + shifts[:, :, :, 0]
    x = (starts[1] + cols).to(dtype) + shifts[:, :, :, 1]
    return y, x


def _scaled(where: Tensor, size: int) -> Tensor:
    """Pixels to the scale on which the map reaches from -1 to 1, borders of pixels included."""
    return (2 * where + 1) / size - 1

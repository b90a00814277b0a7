# mypy: disable-error-code="import-untyped,untyped-decorator,no-untyped-def,no-untyped-call"
# (The body of a kernel is Triton's language, which has no types that a checker knows.)
"""Where a tap reads, and what it finds there: the device functions that every kernel shares.

Coordinates are float32 whatever the features are. Addresses are 64-bit: a batch of maps may hold
more than 2^31 elements.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def pixels_of(pid, pixels, out_h, out_w, block_m: tl.constexpr):
    """Split a block of flat output pixels into image, position in it, row, column, validity."""
    pixel = pid * block_m + tl.arange(0, block_m)
    image = pixel // (out_h * out_w)
    position = pixel % (out_h * out_w)
    row, col = position // out_w, position % out_w
    return pixel, image.to(tl.int64), position.to(tl.int64), row, col, pixel < pixels


@triton.jit
def locate(
    offset_ptr, of_image, of_channel, of_pixel,
    image, position, out_y, out_x, channel, height, width, valid,
    kernel_w: tl.constexpr, taps: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_h: tl.constexpr, pad_w: tl.constexpr, dilation_h: tl.constexpr, dilation_w: tl.constexpr,
):  # fmt: skip
    """Corner and fraction of one sampling point: (top, left, low, right).

    ``channel`` counts (offset group, tap).

    Four corners lie outside the map for pixels that are not valid, for NaN and for whatever is
    huge, so that nothing is read there; a NaN fraction carries NaN into the blend.
    """
    tap = channel % taps
    y = (out_y * stride_h - pad_h + (tap // kernel_w) * dilation_h).to(tl.float32)
    x = (out_x * stride_w - pad_w + (tap % kernel_w) * dilation_w).to(tl.float32)
    at = offset_ptr + image * of_image + channel.to(tl.int64) * 2 * of_channel + position * of_pixel
    y += tl.load(at, mask=valid, other=0.0).to(tl.float32)
    x += tl.load(at + of_channel, mask=valid, other=0.0).to(tl.float32)
    # The comparisons keep NaN out of floor and of the integers; -2 is outside every map.
    y_in = tl.where((y == y) & valid, tl.minimum(tl.maximum(y, -2.0), height + 1.0), -2.0)
    x_in = tl.where((x == x) & valid, tl.minimum(tl.maximum(x, -2.0), width + 1.0), -2.0)
    top, left = tl.floor(y_in), tl.floor(x_in)
    low = tl.where(y == y, y_in - top, float("nan"))
    right = tl.where(x == x, x_in - left, float("nan"))
    return top.to(tl.int32), left.to(tl.int32), low, right


@triton.jit
def modulation(
    mask_ptr, of_image, of_channel, of_pixel,
    image, position, channel, valid, has_mask: tl.constexpr,
):  # fmt: skip
    """The mask of one tap in float32, one without a mask."""
    if has_mask:
        at = mask_ptr + image * of_image + channel.to(tl.int64) * of_channel + position * of_pixel
        scale = tl.load(at, mask=valid, other=0.0).to(tl.float32)
    else:
        scale = tl.full(position.shape, 1.0, tl.float32)
    return scale


@triton.jit
def corner(rows_ptr, image, row, col, height, width, stride, columns, wanted):
    """Read one corner's row of channels in float32, zeros outside; and where and whether it is."""
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    at = (image * height * width + row * width + col) * stride
    where = rows_ptr + at[:, None] + columns[None, :]
    value = tl.load(where, mask=inside[:, None] & wanted[None, :], other=0.0)
    return value.to(tl.float32), at, inside


@triton.jit
def blend(
    rows_ptr, image, top, left, low, right, scale, height, width, stride, columns, wanted
):  # fmt: skip
    """Bilinear value times the mask, (block of pixels, block of channels) in float32."""
    value, _, _ = corner(rows_ptr, image, top, left, height, width, stride, columns, wanted)
    total = value * ((1.0 - low) * (1.0 - right) * scale)[:, None]
    value, _, _ = corner(rows_ptr, image, top, left + 1, height, width, stride, columns, wanted)
    total += value * ((1.0 - low) * right * scale)[:, None]
    value, _, _ = corner(rows_ptr, image, top + 1, left, height, width, stride, columns, wanted)
    total += value * (low * (1.0 - right) * scale)[:, None]
    value, _, _ = corner(rows_ptr, image, top + 1, left + 1, height, width, stride, columns, wanted)
    total += value * (low * right * scale)[:, None]
    return total

# mypy: disable-error-code="import-untyped,untyped-decorator,no-untyped-def,no-untyped-call"
"""Device functions on blocks of (pixels, channels): strided maps and the LayerNorm."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def load(ptr, image, position, of_image, of_channel, of_pixel, channel, wanted):
    """A block of a strided map in float32, zeros where it is not wanted."""
    at = (image * of_image + position * of_pixel)[:, None]
    at += (channel.to(tl.int64) * of_channel)[None, :]
    return tl.load(ptr + at, mask=wanted, other=0.0).to(tl.float32)


@triton.jit
def store(ptr, value, image, position, of_image, of_channel, of_pixel, channel, wanted):
    """Write a block of a strided map."""
    at = (image * of_image + position * of_pixel)[:, None]
    at += (channel.to(tl.int64) * of_channel)[None, :]
    tl.store(ptr + at, value.to(ptr.dtype.element_ty), mask=wanted)


@triton.jit
def normalize(value, used, channels: tl.constexpr, eps):
    """Rows with mean zero and variance one over the channels in use, and the factor applied."""
    mean = tl.sum(value, axis=1) / channels
    centered = tl.where(used[None, :], value - mean[:, None], 0.0)
    factor = 1.0 / tl.sqrt(tl.sum(centered * centered, axis=1) / channels + eps)
    return centered * factor[:, None], factor


@triton.jit
def affine_of(
    scale_ptr, shift_ptr, channel, used, has_scale: tl.constexpr, has_shift: tl.constexpr
):
    """Scale and shift of the LayerNorm in float32, one and zero where there is none."""
    scale = tl.full(channel.shape, 1.0, tl.float32)
    shift = tl.zeros(channel.shape, tl.float32)
    if has_scale:
        scale = tl.load(scale_ptr + channel, mask=used, other=0.0).to(tl.float32)
    if has_shift:
        shift = tl.load(shift_ptr + channel, mask=used, other=0.0).to(tl.float32)
    return scale, shift

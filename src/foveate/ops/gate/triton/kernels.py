# mypy: disable-error-code="import-untyped,untyped-decorator,no-untyped-def,no-untyped-call"
# (The body of a kernel is Triton's language, which has no types that a checker knows.)
"""The gate's tail and its derivative: one block holds all channels of some pixels."""

from __future__ import annotations

import triton
import triton.language as tl

from foveate.ops.deform.triton.block import affine_of, load, normalize, store


@triton.jit
def epilogue(
    x_ptr, x_image, x_channel, x_pixel,
    mixed_ptr, mixed_image, mixed_channel, mixed_pixel,
    out_ptr, out_image, out_channel, out_pixel,
    scale_ptr, shift_ptr, pixels, pixels_per_image, eps,
    channels: tl.constexpr, has_scale: tl.constexpr, has_shift: tl.constexpr,
    block_m: tl.constexpr, block_c: tl.constexpr,
):  # fmt: skip
    """Gate a block of pixels: x * sigmoid(LayerNorm(mixed))."""
    pixel = tl.program_id(0) * block_m + tl.arange(0, block_m)
    image = (pixel // pixels_per_image).to(tl.int64)
    position = (pixel % pixels_per_image).to(tl.int64)
    channel = tl.arange(0, block_c)
    used = channel < channels
    wanted = (pixel < pixels)[:, None] & used[None, :]
    mixed = load(
        mixed_ptr, image, position, mixed_image, mixed_channel, mixed_pixel, channel, wanted
    )
    x = load(x_ptr, image, position, x_image, x_channel, x_pixel, channel, wanted)
    unit, _ = normalize(mixed, used, channels, eps)
    scale, shift = affine_of(scale_ptr, shift_ptr, channel, used, has_scale, has_shift)
    out = x * tl.sigmoid(unit * scale[None, :] + shift[None, :])
    store(out_ptr, out, image, position, out_image, out_channel, out_pixel, channel, wanted)


@triton.jit
def epilogue_backward(
    x_ptr, x_image, x_channel, x_pixel,
    mixed_ptr, mixed_image, mixed_channel, mixed_pixel,
    grad_ptr, grad_image, grad_channel, grad_pixel,
    by_x_ptr, by_x_image, by_x_channel, by_x_pixel,
    by_mixed_ptr, by_mixed_image, by_mixed_channel, by_mixed_pixel,
    scale_ptr, shift_ptr, partial_ptr, pixels, pixels_per_image, eps,
    channels: tl.constexpr, has_scale: tl.constexpr, has_shift: tl.constexpr,
    block_m: tl.constexpr, block_c: tl.constexpr,
):  # fmt: skip
    """Every gradient of the tail; those of scale and shift as one partial sum a program.

    A fixed number of programs walks over the blocks of pixels in a fixed order, so that the sums
    are the same in every run.
    """
    channel = tl.arange(0, block_c)
    used = channel < channels
    scale, shift = affine_of(scale_ptr, shift_ptr, channel, used, has_scale, has_shift)
    by_scale = tl.zeros((block_c,), tl.float32)
    by_shift = tl.zeros((block_c,), tl.float32)
    pid = tl.program_id(0)
    for block in range(pid, (pixels + block_m - 1) // block_m, tl.num_programs(0)):
        pixel = block * block_m + tl.arange(0, block_m)
        image = (pixel // pixels_per_image).to(tl.int64)
        position = (pixel % pixels_per_image).to(tl.int64)
        wanted = (pixel < pixels)[:, None] & used[None, :]
        mixed = load(
            mixed_ptr, image, position, mixed_image, mixed_channel, mixed_pixel, channel, wanted
        )
        x = load(x_ptr, image, position, x_image, x_channel, x_pixel, channel, wanted)
        grad = load(
            grad_ptr, image, position, grad_image, grad_channel, grad_pixel, channel, wanted
        )
        unit, factor = normalize(mixed, used, channels, eps)
        gate = tl.sigmoid(unit * scale[None, :] + shift[None, :])
        by_x = grad * gate
        store(
            by_x_ptr, by_x, image, position, by_x_image, by_x_channel, by_x_pixel, channel, wanted
        )
        inner = by_x * x * (1.0 - gate)
        by_scale += tl.sum(inner * unit, axis=0)
        by_shift += tl.sum(inner, axis=0)
        inner = inner * scale[None, :]
        mean = tl.sum(inner, axis=1) / channels
        slope = tl.sum(inner * unit, axis=1) / channels
        by_mixed = (inner - mean[:, None] - unit * slope[:, None]) * factor[:, None]
        store(
            by_mixed_ptr, by_mixed, image, position,
            by_mixed_image, by_mixed_channel, by_mixed_pixel, channel, wanted,
        )  # fmt: skip
    at = partial_ptr + tl.cast(pid, tl.int64) * 2 * channels + channel
    tl.store(at, by_scale, mask=used)
    tl.store(at + channels, by_shift, mask=used)

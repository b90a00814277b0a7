# mypy: disable-error-code="import-untyped,untyped-decorator,no-untyped-def,no-untyped-call"
"""Forward kernels: the implicit matrix product, with the gate's tail or without; the columns.

Input channels come in S sections, the finest split in which a section has one offset group and one
weight group; each is padded with zeros to R channels, so that every row starts on 16 bytes. Rows
are (pixel, section, R), weights and columns (section, tap, R, ...).
"""

from __future__ import annotations

import triton
import triton.language as tl

from foveate.ops.deform.triton.block import affine_of, load, store
from foveate.ops.deform.triton.sampling import blend, locate, modulation, pixels_of


@triton.jit
def implicit(
    rows_ptr, offset_ptr, mask_ptr,
    of_image, of_channel, of_pixel, mask_image, mask_channel, mask_pixel,
    pixels, height, width, out_h, out_w,
    weight_ptr, bias_ptr, out_ptr, out_image, out_channel, out_pixel,
    x_ptr, x_image, x_channel, x_pixel, kept_ptr, scale_ptr, shift_ptr, eps,
    kernel_w: tl.constexpr, taps: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_h: tl.constexpr, pad_w: tl.constexpr, dilation_h: tl.constexpr, dilation_w: tl.constexpr,
    sections: tl.constexpr, offset_groups: tl.constexpr, section_width: tl.constexpr,
    has_mask: tl.constexpr, groups: tl.constexpr, group_out: tl.constexpr,
    has_bias: tl.constexpr, gate: tl.constexpr, keep: tl.constexpr,
    has_scale: tl.constexpr, has_shift: tl.constexpr,
    block_m: tl.constexpr, block_n: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """Output pixels times a block of output channels; columns exist in registers only.

    One flat loop over (section, tap, block of channels), so that the compiler can prefetch the
    offsets, corners and weights of the next step across taps. With ``gate`` the block holds all
    channels of its pixels, and what is stored is x * sigmoid(LayerNorm(result)), and, to ``keep``
    for a backward pass, the result itself as rows.
    """
    blocks_n: tl.constexpr = (group_out + block_n - 1) // block_n
    blocks_k: tl.constexpr = (section_width + block_k - 1) // block_k
    per_group: tl.constexpr = sections // groups
    per_offset: tl.constexpr = sections // offset_groups
    # Neighboring programs share their pixels, whose rows are then in the cache.
    pid = tl.program_id(0)
    group = (pid % (groups * blocks_n)) // blocks_n
    _, image, position, out_y, out_x, valid = pixels_of(
        pid // (groups * blocks_n), pixels, out_h, out_w, block_m
    )
    cols = (pid % blocks_n) * block_n + tl.arange(0, block_n)
    inner = tl.arange(0, block_k)
    total = tl.zeros((block_m, block_n), tl.float32)
    for step in range(0, per_group * taps * blocks_k):
        tap = (step // blocks_k) % taps
        section = group * per_group + step // (blocks_k * taps)
        channel = (section // per_offset) * taps + tap
        top, left, low, right = locate(
            offset_ptr, of_image, of_channel, of_pixel,
            image, position, out_y, out_x, channel, height, width, valid,
            kernel_w, taps, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
        )  # fmt: skip
        scale = modulation(
            mask_ptr, mask_image, mask_channel, mask_pixel,
            image, position, channel, valid, has_mask,
        )  # fmt: skip
        within = (step % blocks_k) * block_k + inner
        wanted = within < section_width
        sampled = blend(
            rows_ptr, image, top, left, low, right, scale, height, width,
            sections * section_width, section * section_width + within, wanted,
        )  # fmt: skip
        at = (section * taps + tap) * section_width + within
        kernel = tl.load(
            weight_ptr + at.to(tl.int64)[:, None] * group_out + cols[None, :],
            mask=wanted[:, None] & (cols < group_out)[None, :],
            other=0.0,
        )
        total = tl.dot(sampled.to(kernel.dtype), kernel, total, input_precision="ieee")
    used = cols < group_out
    channel = group * group_out + cols
    if has_bias:
        bias = tl.load(bias_ptr + channel, mask=used, other=0.0).to(tl.float32)
        total += bias[None, :]
    if gate:
        mean = tl.sum(total, axis=1) / group_out
        centered = tl.where(used[None, :], total - mean[:, None], 0.0)
        factor = 1.0 / tl.sqrt(tl.sum(centered * centered, axis=1) / group_out + eps)
        plane = tl.cast(out_h, tl.int64) * out_w
        # In parts of 64 channels, so that registers hold x and addresses of one part at a time.
        if block_n > 128:
            left, right = halves(total, block_m, block_n)
            finish_halves(
                left, mean, factor, image, position, plane, valid,
                out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
                kept_ptr, scale_ptr, shift_ptr, group_out, keep, has_scale, has_shift,
                0, block_m, block_n // 2,
            )  # fmt: skip
            finish_halves(
                right, mean, factor, image, position, plane, valid,
                out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
                kept_ptr, scale_ptr, shift_ptr, group_out, keep, has_scale, has_shift,
                block_n // 2, block_m, block_n // 2,
            )  # fmt: skip
        elif block_n > 64:
            finish_halves(
                total, mean, factor, image, position, plane, valid,
                out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
                kept_ptr, scale_ptr, shift_ptr, group_out, keep, has_scale, has_shift,
                0, block_m, block_n,
            )  # fmt: skip
        else:
            finish(
                total, mean, factor, image, position, plane, valid,
                out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
                kept_ptr, scale_ptr, shift_ptr, group_out, keep, has_scale, has_shift,
                0, block_m, block_n,
            )  # fmt: skip
    else:
        stored = valid[:, None] & used[None, :]
        store(out_ptr, total, image, position, out_image, out_channel, out_pixel, channel, stored)


@triton.jit
def halves(value, rows: tl.constexpr, width: tl.constexpr):
    """Split a block into its left and its right columns."""
    return tl.split(tl.permute(tl.reshape(value, (rows, 2, width // 2)), (0, 2, 1)))


@triton.jit
def finish_halves(
    value, mean, factor, image, position, plane, valid,
    out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
    kept_ptr, scale_ptr, shift_ptr, channels: tl.constexpr,
    keep: tl.constexpr, has_scale: tl.constexpr, has_shift: tl.constexpr,
    first: tl.constexpr, rows: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Finish the two halves of a block one after the other."""
    left, right = halves(value, rows, width)
    finish(
        left, mean, factor, image, position, plane, valid,
        out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
        kept_ptr, scale_ptr, shift_ptr, channels, keep, has_scale, has_shift,
        first, rows, width // 2,
    )  # fmt: skip
    finish(
        right, mean, factor, image, position, plane, valid,
        out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
        kept_ptr, scale_ptr, shift_ptr, channels, keep, has_scale, has_shift,
        first + width // 2, rows, width // 2,
    )  # fmt: skip


@triton.jit
def finish(
    value, mean, factor, image, position, plane, valid,
    out_ptr, out_image, out_channel, out_pixel, x_ptr, x_image, x_channel, x_pixel,
    kept_ptr, scale_ptr, shift_ptr, channels: tl.constexpr,
    keep: tl.constexpr, has_scale: tl.constexpr, has_shift: tl.constexpr,
    first: tl.constexpr, rows: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Normalize, squash and multiply the channels from ``first``, and store them."""
    channel = first + tl.arange(0, width)
    used = channel < channels
    stored = valid[:, None] & used[None, :]
    if keep:
        store(kept_ptr, value, image, position, plane * channels, 1, channels, channel, stored)
    x = load(x_ptr, image, position, x_image, x_channel, x_pixel, channel, stored)
    scale, shift = affine_of(scale_ptr, shift_ptr, channel, used, has_scale, has_shift)
    unit = (value - mean[:, None]) * factor[:, None]
    out = x * tl.sigmoid(unit * scale[None, :] + shift[None, :])
    store(out_ptr, out, image, position, out_image, out_channel, out_pixel, channel, stored)


@triton.jit
def columns(
    rows_ptr, offset_ptr, mask_ptr,
    of_image, of_channel, of_pixel, mask_image, mask_channel, mask_pixel,
    pixels, height, width, out_h, out_w, columns_ptr,
    kernel_w: tl.constexpr, taps: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_h: tl.constexpr, pad_w: tl.constexpr, dilation_h: tl.constexpr, dilation_w: tl.constexpr,
    sections: tl.constexpr, offset_groups: tl.constexpr, section_width: tl.constexpr,
    has_mask: tl.constexpr, block_m: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """Write the sampled rows of one tap and offset group: columns (pixel, section, tap, R)."""
    per_offset: tl.constexpr = sections // offset_groups
    pid = tl.program_id(0)
    channel = pid % (offset_groups * taps)
    tap = channel % taps
    pixel, image, position, out_y, out_x, valid = pixels_of(
        pid // (offset_groups * taps), pixels, out_h, out_w, block_m
    )
    top, left, low, right = locate(
        offset_ptr, of_image, of_channel, of_pixel,
        image, position, out_y, out_x, channel, height, width, valid,
        kernel_w, taps, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
    )  # fmt: skip
    scale = modulation(
        mask_ptr, mask_image, mask_channel, mask_pixel, image, position, channel, valid, has_mask
    )
    for section in range((channel // taps) * per_offset, (channel // taps + 1) * per_offset):
        for start in range(0, section_width, block_k):
            within = start + tl.arange(0, block_k)
            wanted = within < section_width
            sampled = blend(
                rows_ptr, image, top, left, low, right, scale, height, width,
                sections * section_width, section * section_width + within, wanted,
            )  # fmt: skip
            at = pixel.to(tl.int64) * (sections * taps * section_width)
            at = at[:, None] + ((section * taps + tap) * section_width + within)[None, :]
            tl.store(
                columns_ptr + at,
                sampled.to(columns_ptr.dtype.element_ty),
                mask=valid[:, None] & wanted[None, :],
            )

# mypy: disable-error-code="import-untyped,untyped-decorator,no-untyped-def,no-untyped-call"
"""Backward kernels: from gradients of columns to those of offsets, mask and input.

The input gradient is either scattered, four atomic additions a sample, or gathered in a fixed
order: every input pixel walks over the samples of the four cells around it, sorted by cell.
"""

from __future__ import annotations

import triton
import triton.language as tl

from foveate.ops.deform.triton.sampling import corner, locate, modulation, pixels_of


@triton.jit
def differentiate(
    rows_ptr, offset_ptr, mask_ptr,
    of_image, of_channel, of_pixel, mask_image, mask_channel, mask_pixel,
    pixels, height, width, out_h, out_w,
    upstream_ptr, columns_ptr, by_input_ptr, by_offset_ptr, by_mask_ptr,
    kernel_w: tl.constexpr, taps: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_h: tl.constexpr, pad_w: tl.constexpr, dilation_h: tl.constexpr, dilation_w: tl.constexpr,
    sections: tl.constexpr, offset_groups: tl.constexpr, section_width: tl.constexpr,
    has_mask: tl.constexpr, want_columns: tl.constexpr, want_input: tl.constexpr,
    want_offset: tl.constexpr, block_m: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """One tap and offset group of a block of pixels: the corners are read once for everything.

    Gradients of offset and mask are contiguous, (image, channel, pixel).
    """
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
    high, near = 1.0 - low, 1.0 - right
    # Products of the upstream gradient with each corner, summed over channels.
    dot_00 = tl.zeros((block_m,), tl.float32)
    dot_01 = tl.zeros((block_m,), tl.float32)
    dot_10 = tl.zeros((block_m,), tl.float32)
    dot_11 = tl.zeros((block_m,), tl.float32)
    stride: tl.constexpr = sections * section_width
    for section in range((channel // taps) * per_offset, (channel // taps + 1) * per_offset):
        for start in range(0, section_width, block_k):
            within = start + tl.arange(0, block_k)
            wanted = within < section_width
            inner = section * section_width + within
            stored = valid[:, None] & wanted[None, :]
            at = (pixel.to(tl.int64) * (taps * stride))[:, None]
            at += ((section * taps + tap) * section_width + within)[None, :]
            above = tl.load(upstream_ptr + at, mask=stored, other=0.0).to(tl.float32)
            v_00, at_00, in_00 = corner(
                rows_ptr, image, top, left, height, width, stride, inner, wanted
            )
            v_01, at_01, in_01 = corner(
                rows_ptr, image, top, left + 1, height, width, stride, inner, wanted
            )
            v_10, at_10, in_10 = corner(
                rows_ptr, image, top + 1, left, height, width, stride, inner, wanted
            )
            v_11, at_11, in_11 = corner(
                rows_ptr, image, top + 1, left + 1, height, width, stride, inner, wanted
            )
            if want_offset:
                dot_00 += tl.sum(above * v_00, axis=1)
                dot_01 += tl.sum(above * v_01, axis=1)
                dot_10 += tl.sum(above * v_10, axis=1)
                dot_11 += tl.sum(above * v_11, axis=1)
            if want_columns:
                sampled = v_00 * (high * near * scale)[:, None]
                sampled += v_01 * (high * right * scale)[:, None]
                sampled += v_10 * (low * near * scale)[:, None]
                sampled += v_11 * (low * right * scale)[:, None]
                tl.store(columns_ptr + at, sampled.to(columns_ptr.dtype.element_ty), mask=stored)
            if want_input:
                scatter(by_input_ptr, at_00, in_00, above, high * near * scale, inner, wanted)
                scatter(by_input_ptr, at_01, in_01, above, high * right * scale, inner, wanted)
                scatter(by_input_ptr, at_10, in_10, above, low * near * scale, inner, wanted)
                scatter(by_input_ptr, at_11, in_11, above, low * right * scale, inner, wanted)
    if want_offset:
        # Zero unless a coordinate is NaN, and then both derivatives are.
        unknown = (low + right) * 0.0
        by_y = scale * (near * (dot_10 - dot_00) + right * (dot_11 - dot_01)) + unknown
        by_x = scale * (high * (dot_01 - dot_00) + low * (dot_11 - dot_10)) + unknown
        plane = tl.cast(out_h, tl.int64) * out_w
        at = image * (offset_groups * taps) + channel
        to = by_offset_ptr + 2 * at * plane + position
        tl.store(to, by_y.to(by_offset_ptr.dtype.element_ty), mask=valid)
        tl.store(to + plane, by_x.to(by_offset_ptr.dtype.element_ty), mask=valid)
        if has_mask:
            by_scale = high * (near * dot_00 + right * dot_01)
            by_scale += low * (near * dot_10 + right * dot_11)
            to = by_mask_ptr + at * plane + position
            tl.store(to, by_scale.to(by_mask_ptr.dtype.element_ty), mask=valid)


@triton.jit
def scatter(by_input_ptr, at, inside, above, share, inner, wanted):
    """Add a corner's part of the gradient to the float32 rows of the input."""
    tl.atomic_add(
        by_input_ptr + at[:, None] + inner[None, :],
        above * share[:, None],
        mask=inside[:, None] & wanted[None, :],
        sem="relaxed",
    )


@triton.jit
def cells(
    rows_ptr, offset_ptr, mask_ptr,
    of_image, of_channel, of_pixel, mask_image, mask_channel, mask_pixel,
    pixels, height, width, out_h, out_w, cells_ptr, outside,
    kernel_w: tl.constexpr, taps: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_h: tl.constexpr, pad_w: tl.constexpr, dilation_h: tl.constexpr, dilation_w: tl.constexpr,
    sections: tl.constexpr, offset_groups: tl.constexpr, section_width: tl.constexpr,
    has_mask: tl.constexpr, block_m: tl.constexpr,
):  # fmt: skip
    """The cell of every sample, by its top left corner; ``outside`` if it reads nothing.

    Samples are numbered (offset group, tap, pixel), cells (image, offset group, row, column) with
    a row and a column before the first of the map.
    """
    pid = tl.program_id(0)
    channel = pid % (offset_groups * taps)
    pixel, image, position, out_y, out_x, valid = pixels_of(
        pid // (offset_groups * taps), pixels, out_h, out_w, block_m
    )
    top, left, _, _ = locate(
        offset_ptr, of_image, of_channel, of_pixel,
        image, position, out_y, out_x, channel, height, width, valid,
        kernel_w, taps, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
    )  # fmt: skip
    plane = image.to(tl.int32) * offset_groups + channel // taps
    cell = (plane * (height + 1) + top + 1) * (width + 1) + left + 1
    reads = (top >= -1) & (top < height) & (left >= -1) & (left < width)
    at = tl.cast(channel, tl.int64) * pixels + pixel
    tl.store(cells_ptr + at, tl.where(reads, cell, outside), mask=valid)


@triton.jit
def collect(
    rows_ptr, offset_ptr, mask_ptr,
    of_image, of_channel, of_pixel, mask_image, mask_channel, mask_pixel,
    pixels, height, width, out_h, out_w,
    upstream_ptr, order_ptr, first_ptr, by_input_ptr,
    kernel_w: tl.constexpr, taps: tl.constexpr, stride_h: tl.constexpr, stride_w: tl.constexpr,
    pad_h: tl.constexpr, pad_w: tl.constexpr, dilation_h: tl.constexpr, dilation_w: tl.constexpr,
    sections: tl.constexpr, offset_groups: tl.constexpr, section_width: tl.constexpr,
    has_mask: tl.constexpr, entries: tl.constexpr, block_k: tl.constexpr,
):  # fmt: skip
    """The gradient of one input pixel and section, summed over its four cells in a fixed order."""
    per_offset: tl.constexpr = sections // offset_groups
    pid = tl.program_id(0)
    section = pid % sections
    group = section // per_offset
    source = pid // sections
    row, col = (source // width) % height, source % width
    plane = (source // (height * width)) * offset_groups + group
    for start in range(0, section_width, block_k):
        within = start + tl.arange(0, block_k)
        wanted = within < section_width
        total = tl.zeros((block_k,), tl.float32)
        for which in tl.static_range(4):
            below, beside = which // 2, which % 2
            cell = (plane * (height + 1) + row + 1 - below) * (width + 1) + col + 1 - beside
            last = tl.load(first_ptr + cell + 1)
            for at in range(tl.load(first_ptr + cell), last, entries):
                entry = at + tl.arange(0, entries)
                valid = entry < last
                sample = tl.load(order_ptr + entry, mask=valid, other=0)
                channel, pixel = sample // pixels, sample % pixels
                image = pixel // (out_h * out_w)
                position = pixel % (out_h * out_w)
                tap = channel % taps
                out_y, out_x = position // out_w, position % out_w
                _, _, low, right = locate(
                    offset_ptr, of_image, of_channel, of_pixel,
                    image, position, out_y, out_x, channel, height, width, valid,
                    kernel_w, taps, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w,
                )  # fmt: skip
                share = modulation(
                    mask_ptr, mask_image, mask_channel, mask_pixel,
                    image, position, channel, valid, has_mask,
                )  # fmt: skip
                share *= low if below else 1.0 - low
                share *= right if beside else 1.0 - right
                here = pixel * (sections * taps) + section * taps + tap
                above = tl.load(
                    upstream_ptr + (here * section_width)[:, None] + within[None, :],
                    mask=valid[:, None] & wanted[None, :],
                    other=0.0,
                )
                total += tl.sum(above.to(tl.float32) * share[:, None], axis=0)
        to = by_input_ptr + tl.cast(source, tl.int64) * (sections * section_width)
        to += section * section_width + within
        tl.store(to, total.to(by_input_ptr.dtype.element_ty), mask=wanted)

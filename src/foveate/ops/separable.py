"""A depthwise separable convolution that does not keep a large map between its two halves.

That map is as large as the input. The depthwise half is so cheap that the backward pass computes it
again, which costs a hundredth of a gate's training step and saves one of its four large maps. Small
maps are kept: there the calls cost more than the memory is worth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from foveate.ops.autocast import autocast_dtype
from foveate.ops.layout import from_rows, is_channels_last, quick_layout, to_rows
from foveate.ops.operators import define, takes_operator
from foveate.ops.pointwise import pointwise_conv2d
from foveate.ops.transforms import second_order

_KEPT_BYTES = 8 << 20
_PARTS = 8


def separable_conv2d(x: Tensor, depthwise: Tensor, pointwise: Tensor) -> Tensor:
    """Convolve each channel on its own, size kept, then mix the channels of each pixel.

    Args:
        x: The map.
        depthwise: Kernel of the first half, its sizes odd.
        pointwise: Kernel of the second half.

    Shape:
        - x: (N, C, H, W); depthwise: (C, 1, kh, kw); pointwise: (C', C, 1, 1).
        - output: (N, C', H, W), channels-last if x is.

    Dtype:
        That of x; autocast brings all three to its own.
    """
    forgets = is_channels_last(x) and (torch.compiler.is_compiling() or _is_large(x))
    if not forgets or not takes_operator(x, depthwise, pointwise):
        return _kept(x, depthwise, pointwise)
    run: Callable[..., Tensor] = torch.ops.foveate.separable_conv2d
    low = autocast_dtype(x)
    if low is None:
        return run(x, depthwise, pointwise)
    with torch.autocast(x.device.type, enabled=False):
        return run(*(one.to(low) for one in (x, depthwise, pointwise)))


def _is_large(x: Tensor) -> bool:
    return x.numel() * x.element_size() > _KEPT_BYTES


def _kept(x: Tensor, depthwise: Tensor, pointwise: Tensor) -> Tensor:
    return pointwise_conv2d(_convolve(x, depthwise), pointwise)


def _convolve(x: Tensor, depthwise: Tensor) -> Tensor:
    padding = [size // 2 for size in depthwise.shape[2:]]
    return functional.conv2d(x, depthwise, padding=padding, groups=x.shape[1])


def _forward(x: Tensor, depthwise: Tensor, pointwise: Tensor) -> Tensor:
    rows = functional.linear(to_rows(_convolve(x, depthwise)), pointwise.flatten(1))
    return from_rows(rows, x)


def _forward_fake(x: Tensor, depthwise: Tensor, pointwise: Tensor) -> Tensor:
    batch, _, height, width = x.shape
    return x.new_empty(batch, height, width, pointwise.shape[0]).permute(0, 3, 1, 2)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    wanted = list(ctx.needs_input_grad)
    if torch.is_grad_enabled():
        return tuple(second_order(_kept, ctx.saved_tensors, wanted, grad))
    found = torch.ops.foveate.separable_conv2d_backward(grad, *ctx.saved_tensors, wanted)
    return tuple(one if want else None for one, want in zip(found, wanted, strict=True))


def _backward(
    grad: Tensor, x: Tensor, depthwise: Tensor, pointwise: Tensor, wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by x and the two kernels; an unwanted one is an empty tensor.

    Some channels at a time: between the halves they are independent, and a whole map less is held.
    """
    rows, mixing = to_rows(grad), pointwise.flatten(1)
    by_x, by_depthwise, by_pointwise = (
        torch.empty_like(one) if want else x.new_empty(0)
        for one, want in zip((to_rows(x), depthwise, mixing), wanted, strict=True)
    )
    padding = [size // 2 for size in depthwise.shape[2:]]
    step = -(-x.shape[1] // _PARTS)
    for first in range(0, x.shape[1], step):
        some = slice(first, first + step)
        inner, kernel = quick_layout(x[:, some]), depthwise[some]
        if wanted[2]:
            by_pointwise[:, some] = rows.t() @ to_rows(_convolve(inner, kernel))
        if wanted[0] or wanted[1]:
            upstream = from_rows(rows @ mixing[:, some], inner)
            sizes = [1, 1], padding, [1, 1], False, [0, 0], inner.shape[1]
            found = torch.ops.aten.convolution_backward(
                upstream, inner, kernel, None, *sizes, [*wanted[:2], False]
            )
            if wanted[0]:
                by_x[:, some] = to_rows(found[0])
            if wanted[1]:
                by_depthwise[some] = found[1]
    by_map = from_rows(by_x, x) if wanted[0] else by_x
    return by_map, by_depthwise, by_pointwise.view_as(pointwise) if wanted[2] else by_pointwise


def _backward_fake(
    grad: Tensor, x: Tensor, depthwise: Tensor, pointwise: Tensor, wanted: list[bool]
) -> tuple[Tensor, ...]:
    layouts = (torch.channels_last, torch.contiguous_format, torch.contiguous_format)
    pairs = zip((x, depthwise, pointwise), wanted, layouts, strict=True)
    return tuple(
        torch.empty_like(one, memory_format=layout) if want else x.new_empty(0)
        for one, want, layout in pairs
    )


define(
    "separable_conv2d",
    "(Tensor x, Tensor depthwise, Tensor pointwise) -> Tensor",
    _forward,
    _forward_fake,
    save=_save,
    differentiate=_differentiate,
)
define(
    "separable_conv2d_backward",
    "(Tensor grad, Tensor x, Tensor depthwise, Tensor pointwise, bool[] wanted)"
    " -> (Tensor, Tensor, Tensor)",
    _backward,
    _backward_fake,
)

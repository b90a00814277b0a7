"""The gate's tail and its derivative, launched."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from foveate.ops.deform.triton.launch import blocks, launch
from foveate.ops.deform.triton.layout import flat
from foveate.ops.deform.triton.plan import power_of_two
from foveate.ops.gate.triton import kernels
from foveate.ops.layout import like_rows

_ELEMENTS = 4096
# Fixed, because the number of partial sums decides how they round: four on each multiprocessor of
# a large accelerator.
_PROGRAMS = 528


def _constants(x: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None) -> dict[str, Any]:
    channels = x.shape[1]
    width = power_of_two(channels, 16, 1 << 30)
    return {
        "channels": channels,
        "has_scale": ln_weight is not None,
        "has_shift": ln_bias is not None,
        "block_m": max(1, _ELEMENTS // width),
        "block_c": width,
        "num_warps": 8,
    }


def epilogue(
    x: Tensor, mixed: Tensor, ln_weight: Tensor | None, ln_bias: Tensor | None, eps: float
) -> Tensor:
    """Compute x * sigmoid(LayerNorm(mixed)), in the memory format of x."""
    out = like_rows(x)
    constants = _constants(x, ln_weight, ln_bias)
    plane = x.shape[2] * x.shape[3]
    pixels = x.shape[0] * plane
    launch(
        kernels.epilogue,
        blocks(pixels, constants["block_m"]),
        *flat(x),
        *flat(mixed),
        *flat(out),
        x if ln_weight is None else ln_weight,  # any pointer does where none is read
        x if ln_bias is None else ln_bias,
        pixels,
        plane,
        eps,
        **constants,
    )
    return out


def epilogue_backward(
    grad: Tensor,
    x: Tensor,
    mixed: Tensor,
    ln_weight: Tensor | None,
    ln_bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the gradients by x, mixed, scale and shift; empty for one that is None."""
    by_x, by_mixed = like_rows(x), like_rows(mixed)
    constants = _constants(x, ln_weight, ln_bias)
    channels, plane = x.shape[1], x.shape[2] * x.shape[3]
    pixels = x.shape[0] * plane
    programs = min(_PROGRAMS, blocks(pixels, constants["block_m"]))
    partial = torch.empty((programs, 2, channels), dtype=torch.float32, device=x.device)
    launch(
        kernels.epilogue_backward,
        programs,
        *flat(x),
        *flat(mixed),
        *flat(grad),
        *flat(by_x),
        *flat(by_mixed),
        x if ln_weight is None else ln_weight,
        x if ln_bias is None else ln_bias,
        partial,
        pixels,
        plane,
        eps,
        **constants,
    )
    total = partial.sum(0)
    by_scale, by_shift = (
        x.new_empty(0) if one is None else part.to(one.dtype, copy=True)
        for one, part in zip((ln_weight, ln_bias), total, strict=True)
    )
    return by_x, by_mixed, by_scale, by_shift

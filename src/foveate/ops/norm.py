"""Normalizations that keep a channels-last map as it lies in memory."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from foveate.ops.layout import from_rows, is_channels_last, like_rows
from foveate.ops.operators import define, takes_operator
from foveate.ops.transforms import is_exporting, second_order


def channel_layer_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float = 1e-5
) -> Tensor:
    r"""Normalize each pixel over its channels, $(x - \mu_c) / \sqrt{\sigma_c^2 + \epsilon}$.

    Args:
        x: The map.
        weight: Scale per channel, or None.
        bias: Shift per channel, or None.
        eps: Added to the variance.

    Shape:
        - x: $(N, C, H, W)$; weight, bias: $(C,)$; output: as x.

    Source: Ba et al., Layer Normalization, arXiv:1607.06450, with the axes of ConvNeXt.
    """
    if weight is None and bias is not None:
        # Apart: a bias without a scale has no second derivative in the library's norm.
        return channel_layer_norm(x, None, None, eps) + bias[:, None, None]
    last = x.permute(0, 2, 3, 1)
    return functional.layer_norm(last, last.shape[-1:], weight, bias, eps).permute(0, 3, 1, 2)


def instance_norm(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    r"""Normalize each channel of each image over its pixels.

    The library's own returns a contiguous map for a channels-last one, and whatever follows pays
    for turning it; this one does not on a CPU.

    Args:
        x: The map.
        weight: Scale per channel, or None.
        bias: Shift per channel, or None.
        eps: Added to the variance.

    Shape:
        - x: $(N, C, H, W)$ with $H W \ge 2$; weight, bias: $(C,)$; output: as x.

    Dtype:
        Computed in float32 at least.

    Source: Ulyanov et al., Instance Normalization, arXiv:1607.08022.
    """
    if is_exporting() or x.device.type != "cpu":
        return functional.instance_norm(x, None, None, weight, bias, True, 0.0, eps)
    if is_channels_last(x) and takes_operator(x, weight, bias):
        out: Tensor = torch.ops.foveate.instance_norm(x, eps)[0]
    else:
        out = _composed(x, eps)
    if weight is not None:
        out = out * weight[:, None, None]
    return out if bias is None else out + bias[:, None, None]


def _composed(x: Tensor, eps: float) -> Tensor:
    """The definition. On a CPU the library's has a wrong gradient where that is channels-last."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
    return ((wide - mean) * (variance + eps).rsqrt()).to(x.dtype)


def _forward(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return the normalized map and what each channel was scaled by, (N, 1, C)."""
    rows = _wide(x)
    centered = rows - rows.mean(1, keepdim=True)
    scale = (centered * centered).mean(1, keepdim=True).add_(eps).rsqrt_()
    return from_rows(centered.mul_(scale).to(x.dtype), x), scale


def _forward_fake(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(x.dtype, torch.float32)
    return like_rows(x), x.new_empty((x.shape[0], 1, x.shape[1]), dtype=wide)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, ctx.eps = inputs
    ctx.save_for_backward(x, *output)
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, None]:
    if grad is None:
        return None, None
    x, out, scale = ctx.saved_tensors
    if torch.is_grad_enabled():
        run = partial(_composed, eps=ctx.eps)
        return second_order(run, [x], [True], grad)[0], None
    return torch.ops.foveate.instance_norm_backward(grad, out, scale), None


def _backward(grad: Tensor, out: Tensor, scale: Tensor) -> Tensor:
    upstream, unit = _wide(grad), _wide(out)
    along = (upstream * unit).mean(1, keepdim=True)
    by_x = torch.sub(upstream, upstream.mean(1, keepdim=True)).addcmul_(unit, along, value=-1)
    return from_rows(by_x.mul_(scale).to(out.dtype), out)


def _backward_fake(grad: Tensor, out: Tensor, scale: Tensor) -> Tensor:
    return like_rows(out)


def _wide(x: Tensor) -> Tensor:
    """Return a map as (N, H * W, C), contiguous, in float32 at least."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return x.permute(0, 2, 3, 1).flatten(1, 2).to(wide).contiguous()


define(
    "instance_norm",
    "(Tensor x, float eps) -> (Tensor, Tensor)",
    _forward,
    _forward_fake,
    save=_save,
    differentiate=_differentiate,
)
define(
    "instance_norm_backward",
    "(Tensor grad, Tensor out, Tensor scale) -> Tensor",
    _backward,
    _backward_fake,
)

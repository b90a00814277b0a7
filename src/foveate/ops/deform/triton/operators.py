"""The operator ``foveate::deform_conv2d_triton``: kernels, shapes for tracing, derivatives.

``triton_op`` shows its kernels to ``torch.compile`` and to AOTInductor, so that a network with
them becomes one graph. The backward pass is opaque instead: it walks over the batch in steps whose
number depends on the sizes, and reads the switch for deterministic algorithms when it runs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.library import custom_op, triton_op

from foveate.ops.deform import autograd
from foveate.ops.deform.arguments import Geometry, Wanted
from foveate.ops.deform.triton.compute import convolve
from foveate.ops.deform.triton.gradients import gradients


@triton_op(
    "foveate::deform_conv2d_triton",
    mutates_args=(),
    schema="(Tensor input, Tensor offset, Tensor weight, Tensor? bias, Tensor? mask,"
    " SymInt[] sizes, bool channels_last) -> Tensor",
)
def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    sizes: list[int],
    channels_last: bool,
) -> Tensor:
    """Convolve; ``sizes`` are those of a ``Geometry``."""
    geometry = Geometry.of_sizes(sizes, input, offset, weight)
    return convolve(input, offset, weight, bias, mask, geometry, channels_last)


def _fake(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    sizes: list[int],
    channels_last: bool,
) -> Tensor:
    shape = (input.shape[0], weight.shape[0], *offset.shape[2:])
    format = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty(shape, dtype=input.dtype, device=input.device, memory_format=format)


@custom_op(
    "foveate::deform_conv2d_triton_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor input, Tensor offset, Tensor weight, Tensor? mask,"
    " SymInt[] sizes, bool[] wanted) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def deform_conv2d_backward(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, ...]:
    """Gradients by input, offset, weight, bias and mask; an unwanted one is empty."""
    geometry = Geometry.of_sizes(sizes, input, offset, weight)
    return gradients(grad, input, offset, weight, mask, geometry, Wanted(*wanted))


def _fake_backward(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    sizes: list[int],
    wanted: list[bool],
) -> tuple[Tensor, ...]:
    plain = torch.contiguous_format
    made = (
        torch.empty_like(input),
        torch.empty_like(offset, memory_format=plain),
        torch.empty_like(weight, memory_format=plain),
        weight.new_empty(weight.shape[0]),
        torch.empty_like(offset if mask is None else mask, memory_format=plain),
    )
    return tuple(
        one if want else input.new_empty(0) for one, want in zip(made, wanted, strict=True)
    )


deform_conv2d.register_fake(_fake)
deform_conv2d_backward.register_fake(_fake_backward)
deform_conv2d.register_autograd(
    autograd.differentiate(deform_conv2d_backward), setup_context=autograd.save
)

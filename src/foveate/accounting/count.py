"""Parameters and multiply-accumulates of a network, honest and as published.

The cost figures of the DAS paper agree with a counter that leaves the kernel of a deformable
convolution out, parameters and operations alike. Both conventions stand side by side here; the
honest one is the cost.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from foveate.attention import DeformableConv, DeformKernel
from foveate.core import Words, check_positive_int, expected, require
from foveate.core.modes import evaluation
from foveate.ops.flops import count_macs, deform_conv2d_flops


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image.

    Attributes:
        params: All parameters.
        macs: Multiply-accumulates: convolutions, linear layers, matrix products, deformable
            kernels, norms and average pooling. Bilinear sampling is left out.
        params_published: ``params`` without the kernels of deformable convolutions.
        macs_published: ``macs`` without them.
        by_module: Multiply-accumulates by module name; "" is the network.
        size: The image, (channels, height, width).
    """

    params: int
    macs: int
    params_published: int
    macs_published: int
    by_module: dict[str, int]
    size: tuple[int, int, int]

    def __str__(self) -> str:
        size = f"{self.size[1]}x{self.size[2]}"
        return (
            f"{self.params / 1e6:.2f} M parameters, {self.macs / 1e9:.2f} GMAC at {size}"
            f" (published convention: {self.params_published / 1e6:.2f} M,"
            f" {self.macs_published / 1e9:.2f} GMAC)"
        )


def count(model: nn.Module, size: Sequence[int] = (3, 224, 224)) -> Cost:
    """Count a network on one image by running it once.

    Args:
        model: The network; it is run in evaluation mode without gradients.
        size: The image, (channels, height, width).

    Raises:
        TypeError: If ``model`` is no module.
        ValueError: If ``size`` is not three positive integers, or the model cannot run on it.

    Example:
        >>> count(nn.Conv2d(3, 8, 3, padding=1), (3, 10, 10)).macs
        21600
    """
    if not isinstance(model, nn.Module):
        raise TypeError(expected("count", "a torch.nn.Module", Words(type(model).__name__)))
    if len(size) != 3:
        raise ValueError(expected("count", "size as (channels, height, width)", tuple(size)))
    channels, height, width = (check_positive_int("count", "size", one) for one in size)
    like = next((w for w in model.parameters() if w.is_floating_point()), torch.zeros(()))
    image = torch.zeros((1, channels, height, width), dtype=like.dtype, device=like.device)
    kernels = [module for module in model.modules() if isinstance(module, _kernel_types())]
    hidden_macs = 0

    def add(module: nn.Module, _args: Any, output: Tensor) -> None:
        nonlocal hidden_macs
        # Every weight is used once for each output pixel.
        pixels = output.shape[0] * output.shape[2] * output.shape[3]
        hidden_macs += pixels * _kernel_size(module, bias=False)

    handles = [kernel.register_forward_hook(add) for kernel in kernels]
    try:
        with evaluation(model):
            macs, by_module = count_macs(lambda: model(image), modules=True)
    except Exception as error:
        rule = f"a model that runs on an image of {tuple(size)}"
        raise ValueError(
            expected("count", rule, Words(f"{type(error).__name__}: {error}"), "pass another size")
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    params = sum(weight.numel() for weight in model.parameters())
    hidden = sum(_kernel_size(kernel, bias=True) for kernel in kernels)
    root = type(model).__name__
    named = {
        name.removeprefix(root).removeprefix("."): value
        for name, value in by_module.items()
        if name != "Global"
    }
    return Cost(
        params=params,
        macs=macs,
        params_published=params - hidden,
        macs_published=macs - hidden_macs,
        by_module=named,
        size=(channels, height, width),
    )


def _kernel_types() -> tuple[type[nn.Module], ...]:
    """Modules whose kernel the published convention leaves out; torchvision's if it is loaded."""
    vision: Any = sys.modules.get("torchvision.ops")
    own = (DeformKernel, DeformableConv)
    return own if vision is None else (*own, vision.DeformConv2d)


def _kernel_size(module: nn.Module, bias: bool) -> int:
    """Weights of a deformable kernel, its own or those that it borrows."""
    if isinstance(module, DeformableConv):
        return module.geometry.changed(bias=bias and module.geometry.bias).parameters
    weights = dict(module.named_parameters(recurse=False))
    return sum(value.numel() for name, value in weights.items() if bias or name != "bias")


def register_flop_formulas() -> None:
    """Teach ``torch.utils.flop_counter`` torchvision's deformable convolution, for this process.

    Afterwards a plain ``FlopCounterMode`` counts it, where it counts 0 by default.

    Raises:
        ImportError: If torchvision is not installed.
    """
    require("torchvision.ops", "models", "register_flop_formulas")
    register_flop_formula(torch.ops.torchvision.deform_conv2d)(deform_conv2d_flops)

"""The modules that compete: one gate and one operator, with the deformable step left open.

Whatever stands in the open place, weights and everything around it are the same. Around
torchvision's operator this is the eager gate that one would write with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.attention import create_attention
from foveate.attention.registry import squeezed
from foveate.bench.cases import Case
from foveate.ops import deform_conv2d

Mix = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""``(input, offset, mask, weight) -> output`` of a 3x3 convolution with padding 1."""

ALPHA = 0.2
TAPS = 9
# So wide do offsets of 0.5 to 2 pixels come out; zeros would read whole pixels, in order.
OFFSET_STD = 0.05


def foveate_mix(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The library's operator, with the backend it chooses."""
    return deform_conv2d(input, offset, weight, padding=1, mask=mask)


def reference_mix(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """What all are compared with."""
    return deform_conv2d(input, offset, weight, padding=1, mask=mask, backend="reference")


def torchvision_mix(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """Torchvision's operator."""
    from torchvision.ops import deform_conv2d as theirs

    out: Tensor = theirs(input, offset, weight, padding=1, mask=mask)
    return out


def deformops_mix(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """The operator of the package deformops."""
    import importlib

    theirs: Any = importlib.import_module("deformops.integrations.torchvision")
    out: Tensor = theirs.deform_conv2d(input, offset, weight, padding=(1, 1), mask=mask)
    return out


def conv_mix(input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor) -> Tensor:
    """An ordinary convolution: the arithmetic that no deformable one gets below.

    Offsets and mask are predicted and left unused, so their backward costs nothing here.
    """
    return functional.conv2d(input, weight, padding=1)


class Composed(nn.Module):
    """The gate step by step with ordinary operators, around ``mix``.

    Args:
        gate: Where the weights come from.
        mix: The deformable step.
        native_norm: Whether to use torch's InstanceNorm. Its backward on a CPU is wrong for a
            single image whose gradient arrives channels-last (torch 2.15), so it is for NCHW.
    """

    def __init__(self, gate: nn.Module, mix: Mix, native_norm: bool = False) -> None:
        super().__init__()
        self.gate, self.mix, self.native_norm = copy.deepcopy(gate), mix, native_norm

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by its gate."""
        gate: Any = self.gate
        narrow = gate.squeeze(x)
        normed = gate.norm(narrow) if self.native_norm else _instance_norm(narrow, gate.eps)
        features = gate.activation(normed)
        maps = gate.offset(features)
        offset, mask = maps[:, : 2 * TAPS], maps[:, 2 * TAPS :].sigmoid()
        mixed = self.mix(features, offset, mask, gate.deform.weight).permute(0, 2, 3, 1)
        normed = functional.layer_norm(
            mixed, mixed.shape[-1:], gate.ln_weight, gate.ln_bias, gate.eps
        )
        return x * normed.permute(0, 3, 1, 2).sigmoid()


def _instance_norm(x: Tensor, eps: float) -> Tensor:
    """Normalize each channel of each image over its pixels, in the layout of x."""
    variance, mean = torch.var_mean(x, (2, 3), keepdim=True, correction=0)
    scale = torch.rsqrt(variance + eps)
    return torch.addcmul(-mean * scale, x, scale)


class Operator(nn.Module):
    """The deformable step alone; offset and mask are parameters, so that they get gradients."""

    def __init__(self, case: Case, mix: Mix) -> None:
        super().__init__()
        narrow = squeezed(case.channels, ALPHA)
        place = (case.height, case.width)
        self.mix = mix
        self.weight = nn.Parameter(torch.randn(case.channels, narrow, 3, 3) / (3 * narrow**0.5))
        self.offset = nn.Parameter(torch.randn(case.batch, 2 * TAPS, *place))
        self.mask = nn.Parameter(torch.randn(case.batch, TAPS, *place).sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Lead r channels to C."""
        return self.mix(x, self.offset, self.mask, self.weight)


def new_gate(case: Case) -> nn.Module:
    """A gate whose offsets spread as widely as learned ones and whose norm does something."""
    gate: Any = create_attention("das", case.channels, alpha=ALPHA)
    with torch.no_grad():
        gate.offset.weight.normal_(std=OFFSET_STD)
        gate.ln_weight.add_(0.1 * torch.randn_like(gate.ln_weight))
        gate.ln_bias.add_(0.1 * torch.randn_like(gate.ln_bias))
    made: nn.Module = gate
    return made


class SelfAttention(nn.Module):
    """Full self-attention of one head over all pixels, with its four projections."""

    def __init__(self, channels: int, explicit: bool = False) -> None:
        super().__init__()
        self.explicit = explicit
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Let every pixel look at every other."""
        tokens = x.flatten(2).transpose(1, 2)  # (N, H * W, C)
        q, k, v = self.to_qkv(tokens).chunk(3, dim=-1)
        if self.explicit:
            looked = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(dim=-1) @ v
        else:
            # The one head as an axis of its own: the fused kernels want four.
            heads = (one.unsqueeze(1) for one in (q, k, v))
            looked = functional.scaled_dot_product_attention(*heads).squeeze(1)
        out: Tensor = self.out(looked)
        return out.transpose(1, 2).reshape(x.shape)

"""The deformable 3x3 convolution of the gate, in the forms that its kernel may take."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from foveate.ops import deform_conv2d, deform_gate, gate_epilogue
from foveate.ops.modules import Pointwise

# Leaves for symbolic tracing: they look at shapes and strides, which a proxy has not.
for _leaf in ("deform_conv2d", "deform_gate", "gate_epilogue"):
    torch.fx.wrap(_leaf)  # type: ignore[no-untyped-call]


class Tail(NamedTuple):
    """What turns the mixed map into the gated one: the map to gate, and the LayerNorm."""

    x: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float


class DeformKernel(nn.Module):
    """The deformable 3x3 convolution from r to C channels, in one of its three forms."""

    def __init__(self, squeeze: int, channels: int, form: str, bias: bool) -> None:
        super().__init__()
        self.form, self.channels, self.squeezed = form, channels, squeeze
        # A plain convolution only lends its initialization: its shape is that of the kernel.
        shapes = {"dense": (squeeze, channels, 1), "dw_pw": (squeeze, squeeze, squeeze)}
        if form == "grouped9":
            template = nn.Conv2d(channels, channels, 3, groups=channels, bias=bias)
        else:
            inputs, outputs, groups = shapes[form]
            template = nn.Conv2d(inputs, outputs, 3, groups=groups, bias=bias and form == "dense")
        self.weight = template.weight
        self.pointwise = Pointwise(squeeze, channels, 1, bias=bias) if form == "dw_pw" else None
        self.bias = template.bias

    def forward(
        self, x: Tensor, offset: Tensor, mask: Tensor | None, tail: Tail | None = None
    ) -> Tensor:
        """Lead r channels back to C, reading where the offsets point (eq. 2).

        With a tail the result is the gated map (eq. 2-4), for a dense kernel in one operator.
        """
        if tail is not None and self.form == "dense":
            gated, scale, shift, eps = tail
            kernel = (x, offset, self.weight, self.bias, mask)
            fused: Tensor = deform_gate(gated, *kernel, scale, shift, eps)
            return fused
        if self.form == "grouped9":
            out = self._grouped(x, offset, mask)
        else:
            out = deform_conv2d(x, offset, self.weight, self.bias, padding=1, mask=mask)
            out = out if self.pointwise is None else self.pointwise(out)
        if tail is None:
            return out
        return gate_epilogue(tail.x, out, tail.weight, tail.bias, tail.eps)

    def _grouped(self, x: Tensor, offset: Tensor, mask: Tensor | None) -> Tensor:
        """Let output channel c read squeezed channel c mod r.

        The operator wants r to divide C and neighbors to share a channel: the kernel is padded to
        a multiple of r and reordered, and the surplus outputs are dropped.
        """
        per_group = -(-self.channels // self.squeezed)
        surplus = per_group * self.squeezed - self.channels
        weight = nn.functional.pad(self.weight, (0, 0, 0, 0, 0, 0, 0, surplus))
        weight = weight.reshape(per_group, self.squeezed, 1, 3, 3).transpose(0, 1).flatten(0, 1)
        out: Tensor = deform_conv2d(x, offset, weight, None, padding=1, mask=mask)
        size = (out.shape[0], self.squeezed, per_group, *out.shape[2:])
        out = out.reshape(size).transpose(1, 2).flatten(1, 2)
        out = out[:, : self.channels]
        return out if self.bias is None else out + self.bias[:, None, None]

"""Layers of torch.nn that take the operators of this package; states and options are the same."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn

from foveate.ops.norm import instance_norm
from foveate.ops.pointwise import pointwise_conv2d
from foveate.ops.separable import separable_conv2d

# Leaves for symbolic tracing: they look at shapes and strides, which a proxy has not.
for _leaf in ("instance_norm", "pointwise_conv2d", "separable_conv2d"):
    torch.fx.wrap(_leaf)  # type: ignore[no-untyped-call]


class Pointwise(nn.Conv2d):
    """A 1x1 convolution as one matrix product where that is faster: channels-last on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of each pixel."""
        return pointwise_conv2d(x, self.weight, self.bias)


class Separable(nn.Sequential):
    """A depthwise convolution and a pointwise one, without biases, as one operator."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply both; one after the other if someone watches or has replaced a half."""
        kernels = [half.weight for half in self if _is_plain(half)]
        if len(kernels) < 2:
            out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return out
        return separable_conv2d(x, *kernels)


def _is_plain(half: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether a module is a convolution that nobody listens to."""
    watched = half._forward_hooks or half._forward_pre_hooks or half._backward_hooks
    return type(half) in (nn.Conv2d, Pointwise) and not watched


class InstanceNorm(nn.InstanceNorm2d):
    """InstanceNorm that leaves a channels-last map channels-last, unless it tracks statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize each channel of each image."""
        if self.track_running_stats:
            return super().forward(x)
        return instance_norm(x, self.weight, self.bias, self.eps)

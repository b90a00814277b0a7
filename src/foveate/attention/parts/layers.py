"""Plain layers put to work: as a gate, or in the trunk of the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from foveate.attention.parts.norms import ChannelLayerNorm, make_norm
from foveate.core import check_choice, check_feature_map, check_flag
from foveate.ops import gate_epilogue
from foveate.ops.layout import as_laid_out, quick_layout

# Leaves for symbolic tracing: they look at shapes and strides, which a proxy has not.
for _leaf in ("gate_epilogue", "as_laid_out", "quick_layout"):
    torch.fx.wrap(_leaf)  # type: ignore[no-untyped-call]

AFTER = ("layer", "batch_relu")


class GateOf(nn.Module):
    r"""A gate made of layers, $y = x \cdot \sigma(\mathrm{norm}(\mathrm{layers}(x)))$.

    Args:
        channels: Channels C of the input.
        layers: What maps (N, C, H, W) to the same shape.
        norm: ``"layer"``, over the channels of each pixel, or ``"none"``.
        min_pixels: Smallest H * W that the layers are defined for.
    """

    def __init__(
        self, channels: int, layers: nn.Module, norm: str = "layer", min_pixels: int = 1
    ) -> None:
        super().__init__()
        self.channels, self.min_pixels = channels, min_pixels
        self.layers = layers
        check_choice(type(self).__name__, "norm", norm, ("layer", "none"))
        self.norm = ChannelLayerNorm(channels) if norm == "layer" else None

    def gate(self, x: Tensor) -> Tensor:
        """Compute the gate in (0, 1), shape (N, C, H, W)."""
        check_feature_map(type(self).__name__, x, self.channels, self.min_pixels)
        mixed = self.layers(quick_layout(x))
        weights: Tensor = (mixed if self.norm is None else self.norm(mixed)).sigmoid()
        return as_laid_out(weights.to(x.dtype), x)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x by its gate."""
        check_feature_map(type(self).__name__, x, self.channels, self.min_pixels)
        if self.norm is None:
            return x * self.gate(x)
        inner = quick_layout(x)
        mixed = self.layers(inner)
        gated = gate_epilogue(inner, mixed, self.norm.weight, self.norm.bias, self.norm.eps)
        return as_laid_out(gated, x)


class TrunkOf(nn.Module):
    r"""Layers in the trunk, $y = \mathrm{norm}(\mathrm{layers}(x))$, without any gate.

    Args:
        channels: Channels C of the input.
        layers: What maps (N, C, H, W) to the same shape.
        after: ``"layer"``, a LayerNorm over the channels of each pixel, or ``"batch_relu"``.
        residual: Return the sum with x.
        min_pixels: Smallest H * W that the layers are defined for.
    """

    def __init__(
        self, channels: int, layers: nn.Module, after: str, residual: bool, min_pixels: int = 1
    ) -> None:
        super().__init__()
        who = type(self).__name__
        self.channels, self.min_pixels = channels, min_pixels
        self.residual = check_flag(who, "residual", residual)
        check_choice(who, "after", after, AFTER)
        self.layers = layers
        norm = make_norm(after.removesuffix("_relu"), channels)
        self.norm = norm if after == "layer" else nn.Sequential(norm, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Run the layers and their norm."""
        check_feature_map(type(self).__name__, x, self.channels, self.min_pixels)
        out = self.norm(self.layers(quick_layout(x)))
        # Under autocast a norm is in float32; the next layer of the trunk wants what came in.
        out = as_laid_out(out.to(x.dtype), x)
        return x + out if self.residual else out

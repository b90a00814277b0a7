"""Operators: one folder each, one file per backend, the reference first."""

from foveate.ops.deform import deform_conv2d
from foveate.ops.gate import deform_gate, gate_epilogue
from foveate.ops.norm import channel_layer_norm, instance_norm
from foveate.ops.pointwise import pointwise_conv2d
from foveate.ops.separable import separable_conv2d

__all__ = [
    "channel_layer_norm",
    "deform_conv2d",
    "deform_gate",
    "gate_epilogue",
    "instance_norm",
    "pointwise_conv2d",
    "separable_conv2d",
]

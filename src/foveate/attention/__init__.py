"""Attention mechanisms, one file each, and the registry that names them."""

from foveate.attention.a2 import DoubleAttention
from foveate.attention.cbam import ConvBlockAttention
from foveate.attention.coord import CoordinateAttention
from foveate.attention.das import DAS, DeformKernel
from foveate.attention.das_lite import DASLite
from foveate.attention.eca import EfficientChannelAttention
from foveate.attention.gc import GlobalContext
from foveate.attention.gsop import GlobalSecondOrderPooling
from foveate.attention.nl import NonLocal
from foveate.attention.registry import (
    AttentionSpec,
    attention_spec,
    check_options,
    create_attention,
    list_attentions,
    register,
)
from foveate.attention.se import SqueezeExcite
from foveate.attention.triplet import TripletAttention

__all__ = [
    "DAS",
    "AttentionSpec",
    "ConvBlockAttention",
    "CoordinateAttention",
    "DASLite",
    "DeformKernel",
    "DoubleAttention",
    "EfficientChannelAttention",
    "GlobalContext",
    "GlobalSecondOrderPooling",
    "NonLocal",
    "SqueezeExcite",
    "TripletAttention",
    "attention_spec",
    "check_options",
    "create_attention",
    "list_attentions",
    "register",
]

"""Attention mechanisms, one file each, and the registry that names them."""

from foveate.attention.a2 import DoubleAttention
from foveate.attention.ablations.das_a import FusedSample
from foveate.attention.ablations.das_b import SampleGate
from foveate.attention.ablations.das_d import DeformableGate
from foveate.attention.ablations.das_e import SeparableGate
from foveate.attention.ablations.das_f import TwiceSeparableGate
from foveate.attention.ablations.das_g import DeformableLayer
from foveate.attention.ablations.das_h import GateLayers
from foveate.attention.bam import BottleneckAttention
from foveate.attention.cbam import ConvBlockAttention
from foveate.attention.cca import CrissCrossAttention
from foveate.attention.ccam import CompactChannelAttention
from foveate.attention.coord import CoordinateAttention
from foveate.attention.cpam import CompactPositionAttention
from foveate.attention.csa_parallel import ParallelGates
from foveate.attention.danet import DualAttention
from foveate.attention.das import DAS
from foveate.attention.das_lite import DASLite
from foveate.attention.dcn import DeformableConv
from foveate.attention.dcnv2 import ModulatedDeformableConv
from foveate.attention.dra import DualRelationAttention
from foveate.attention.eca import EfficientChannelAttention
from foveate.attention.ema import EfficientMultiScaleAttention
from foveate.attention.emca import EfficientMultiscaleChannelAttention
from foveate.attention.gala import GlobalAndLocalAttention
from foveate.attention.gc import GlobalContext
from foveate.attention.ge import GatherExcite
from foveate.attention.gsop import GlobalSecondOrderPooling
from foveate.attention.lka import LargeKernelAttention
from foveate.attention.lsk import LargeSelectiveKernel
from foveate.attention.mlca import MixedLocalChannelAttention
from foveate.attention.mpm import MixedPooling
from foveate.attention.nl import NonLocal
from foveate.attention.ofdet import OFDet
from foveate.attention.parts.kernel import DeformKernel
from foveate.attention.rcca import RecurrentCrissCrossAttention
from foveate.attention.registry import (
    AttentionSpec,
    attention_spec,
    check_options,
    create_attention,
    list_attentions,
    register,
)
from foveate.attention.scse import SpatialChannelSqueezeExcite
from foveate.attention.se import SqueezeExcite
from foveate.attention.shuffle import ShuffleAttention
from foveate.attention.simam import SimpleAttention
from foveate.attention.sk import SelectiveKernel
from foveate.attention.splat import SplitAttention
from foveate.attention.spm import StripPooling
from foveate.attention.triplet import TripletAttention

__all__ = [
    "DAS",
    "AttentionSpec",
    "BottleneckAttention",
    "CompactChannelAttention",
    "CompactPositionAttention",
    "ConvBlockAttention",
    "CoordinateAttention",
    "CrissCrossAttention",
    "DASLite",
    "DeformKernel",
    "DeformableConv",
    "DeformableGate",
    "DeformableLayer",
    "DoubleAttention",
    "DualAttention",
    "DualRelationAttention",
    "EfficientChannelAttention",
    "EfficientMultiScaleAttention",
    "EfficientMultiscaleChannelAttention",
    "FusedSample",
    "GateLayers",
    "GatherExcite",
    "GlobalAndLocalAttention",
    "GlobalContext",
    "GlobalSecondOrderPooling",
    "LargeKernelAttention",
    "LargeSelectiveKernel",
    "MixedLocalChannelAttention",
    "MixedPooling",
    "ModulatedDeformableConv",
    "NonLocal",
    "OFDet",
    "ParallelGates",
    "RecurrentCrissCrossAttention",
    "SampleGate",
    "SelectiveKernel",
    "SeparableGate",
    "ShuffleAttention",
    "SimpleAttention",
    "SpatialChannelSqueezeExcite",
    "SplitAttention",
    "SqueezeExcite",
    "StripPooling",
    "TripletAttention",
    "TwiceSeparableGate",
    "attention_spec",
    "check_options",
    "create_attention",
    "list_attentions",
    "register",
]

"""The gate's tail, fused: LayerNorm over channels, sigmoid, product, with or without the kernel."""

from foveate.ops.gate.backends import EPILOGUES, GATES
from foveate.ops.gate.dispatch import deform_gate, gate_epilogue

__all__ = ["EPILOGUES", "GATES", "deform_gate", "gate_epilogue"]

"""The backends of the gate and of its tail, in the order of choice."""

from __future__ import annotations

from foveate.ops.backends import Backend
from foveate.ops.gate import reference
from foveate.ops.gate import torch as torch_backend
from foveate.ops.gate import triton as triton_backend

GATES: tuple[Backend, ...] = (
    Backend("triton", triton_backend.deform_gate, triton_backend.why_not),
    Backend("torch", torch_backend.deform_gate),
    Backend("reference", reference.deform_gate),
)
EPILOGUES: tuple[Backend, ...] = (
    Backend("triton", triton_backend.gate_epilogue, triton_backend.why_not),
    Backend("torch", torch_backend.gate_epilogue),
    Backend("reference", reference.gate_epilogue),
)

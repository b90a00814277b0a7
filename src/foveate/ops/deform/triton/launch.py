"""Launching kernels: in eager mode, while tracing, and under Triton's interpreter."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.library import wrap_triton

# Read once, as Triton does: kernels are made for the one or the other when they are imported.
INTERPRETED = os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "yes", "on", "y")
_FOUND = find_spec("triton") is not None
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def why_not(input: Tensor) -> list[str]:
    """Every reason why kernels cannot run on a map; none means that they can."""
    reasons = []
    if not _FOUND:
        reasons.append("triton is not installed")
    if input.device.type not in (("cuda", "cpu") if INTERPRETED else ("cuda",)):
        reasons.append(f"the tensors are on {input.device.type}, not on a GPU")
    if input.dtype not in _DTYPES:
        reasons.append(f"{input.dtype} is not among float32, bfloat16 and float16")
    return reasons


def launch(kernel: Any, programs: Any, *tensors_and_sizes: Any, **constants: Any) -> None:
    """Run ``kernel`` in a number of programs that may be symbolic while tracing."""
    # The interpreter's kernels are plain functions, which wrap_triton need not know.
    runner = kernel if INTERPRETED else wrap_triton(kernel)
    runner[(programs,)](*tensors_and_sizes, **constants)


def blocks(number: Any, size: int) -> Any:
    """Blocks of ``size`` that cover ``number``."""
    return (number + size - 1) // size

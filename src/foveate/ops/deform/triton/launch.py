"""Launching kernels: in eager mode, while tracing, and under Triton's interpreter."""

from __future__ import annotations

import os
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.library import wrap_triton
from torch.nn import Parameter

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


def launch(kernel: Any, programs: Any, first: Tensor, *rest: Any, **constants: Any) -> None:
    """Run ``kernel`` in a number of programs, which may be symbolic while tracing.

    Args:
        kernel: A function that ``triton.jit`` made.
        programs: Size of the grid.
        first: Its first argument, which tells the device, and by its type whether a compiler
            is tracing.
        rest: Its other arguments.
        constants: What it is compiled for, warps and stages among it.
    """
    if type(first) not in (Tensor, Parameter):
        wrap_triton(kernel)[(programs,)](first, *rest, **constants)
        return
    # Triton takes the current device, whatever the tensors are on.
    away = first.is_cuda and first.device.index != torch.cuda.current_device()
    with torch.cuda.device(first.device) if away else nullcontext():
        kernel[(programs,)](first, *rest, **constants)


def blocks(number: Any, size: int) -> Any:
    """Blocks of ``size`` that cover ``number``."""
    return (number + size - 1) // size

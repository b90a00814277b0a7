"""What the tests of the Triton kernels share: where they run, and how wrong they may be."""

import os

import pytest
import torch

from foveate.ops.deform.triton.launch import INTERPRETED
from support import gradients_of

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def only_where_kernels_run():
    """Skip a module without a GPU, unless the interpreter computes; test_triton.py starts that."""
    if DEVICE == "cpu" and not INTERPRETED:
        pytest.skip("run by test_triton.py in Triton's interpreter", allow_module_level=True)
    if INTERPRETED:
        _multiply_bfloat16_right()


def _multiply_bfloat16_right():
    """Teach the interpreter bfloat16 products: it multiplies the bit patterns as integers."""
    import numpy as np
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    real = InterpreterBuilder.create_dot

    def widened(handle):
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(self, left, right, *rest):
        return real(self, widened(left), widened(right), *rest)

    InterpreterBuilder.create_dot = create_dot


def error(got, want):
    """RMS error relative to the RMS of what is wanted."""
    assert got.shape == want.shape
    got = got.double().cpu()
    assert got.isfinite().all()
    size = want.square().mean().sqrt()
    assert size > 0, "wanted is all zero, which any dead code would match"
    return ((got - want).square().mean().sqrt() / size).item()


def check(run, baseline, reference, tensors):
    """Forward and each gradient: at most twice the baseline's error, and a rounding.

    All three are called with the same tensors; the reference in float64 on the CPU.
    """
    tensors = {name: value for name, value in tensors.items() if value is not None}
    wide = {name: value.double().cpu() for name, value in tensors.items()}
    want, want_grads = gradients_of(reference, wide)
    got, got_grads = gradients_of(run, tensors)
    usual, usual_grads = gradients_of(baseline, tensors)
    assert got.dtype == usual.dtype
    assert set(got_grads) == set(want_grads)
    # One rounding to the coarsest dtype at work, at its worst.
    floor = 0.5 * max(torch.finfo(value.dtype).eps for value in tensors.values())
    results = {"result": (got, usual, want)}
    for name, grad in want_grads.items():
        assert got_grads[name].dtype == tensors[name].dtype
        results[name] = (got_grads[name], usual_grads[name], grad)
    for name, (mine, other, right) in results.items():
        allowed = 2 * error(other, right) + floor
        assert error(mine, right) <= allowed, f"{name}: {error(mine, right):.1e} > {allowed:.1e}"


def interpreter_environment():
    """The environment of a process in which kernels are interpreted."""
    return {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}

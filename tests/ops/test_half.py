"""Half precision: at most twice the error of plain PyTorch in the same dtype, and a rounding."""

import pytest
import torch
from operator_cases import convolve, leaf_gradients, make, make_gate

from foveate.ops import deform_gate, gate_epilogue, instance_norm
from foveate.ops.deform.arguments import geometry_of
from foveate.ops.gate.reference import differentiable_gate
from foveate.ops.separable import separable_conv2d

halves = pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
# name: (N, C, H, W, C_out, kernel, groups, offset groups, stride, padding, dilation)
CASES = {
    "dense": (2, 24, 14, 13, 48, (3, 3), 1, 1, 1, 1, 1),
    "grouped": (2, 24, 14, 13, 48, (3, 3), 4, 2, 1, 1, 1),
    "per channel": (2, 24, 14, 13, 48, (3, 3), 24, 1, 1, 1, 1),
    "5x5 per channel": (2, 24, 14, 13, 24, (5, 5), 24, 3, 1, 2, 1),
    "1x1": (2, 24, 14, 13, 48, (1, 1), 1, 2, 1, 0, 1),
    "several tiles": (2, 64, 40, 40, 32, (3, 3), 1, 1, 1, 1, 1),
}


def assert_no_worse(run, plain, tensors, low):
    """Compare both forms in ``low`` with the second in float64, result and each gradient."""
    tensors = {name: one.to(low) for name, one in tensors.items()}
    wide = {name: one.double() for name, one in tensors.items()}
    want = leaf_gradients(plain, wide)
    got, other = leaf_gradients(run, tensors), leaf_gradients(plain, tensors)
    floor = torch.finfo(low).eps / 4

    def error(found, name=None):
        one, true = (found[0], want[0]) if name is None else (found[1][name], want[1][name])
        assert one.dtype == low
        return ((one.double() - true).square().mean() / true.square().mean()).sqrt().item()

    for name in (None, *tensors):
        mine, its = error(got, name), error(other, name)
        assert mine <= 2 * its + floor, f"{name or 'result'}: {mine:.1e}, plain {its:.1e}"


@halves
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mask", [True, False])
def test_the_convolution_is_as_exact_as_its_gather_form(case, mask, low):
    tensors, sizes = make(CASES[case], mask=mask)
    tensors = {name: one for name, one in tensors.items() if one is not None}
    run, plain = (
        lambda form=form, **t: convolve(form, **t, **sizes) for form in ("torch", "gather")
    )
    assert_no_worse(run, plain, tensors, low)


def plain_gate(x, squeezed, offset, weight, bias, mask, ln_weight, ln_bias):
    geometry = geometry_of(squeezed, offset, weight, bias, 1, 1, 1, mask)
    convolution = (squeezed, offset, weight, bias, mask)
    return differentiable_gate(x, *convolution, ln_weight, ln_bias, 1e-5, geometry)


@halves
@pytest.mark.parametrize("groups", [1, 4])
def test_the_gate_is_as_exact_as_its_parts(groups, low):
    tensors = make_gate((2, 48, 14, 13), squeezed=24, groups=groups)
    assert_no_worse(lambda **t: deform_gate(**t, backend="torch"), plain_gate, tensors, low)


@halves
def test_the_tail_is_as_exact_as_its_parts(low):
    found = make_gate((2, 48, 14, 13))
    tensors = {name: found[name] for name in ("x", "ln_weight", "ln_bias")}
    tensors["mixed"] = found["x"].flip(0)
    run, plain = (
        lambda backend=backend, **t: gate_epilogue(**t, backend=backend)
        for backend in ("torch", "reference")
    )
    assert_no_worse(run, plain, tensors, low)


@halves
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_instance_norm_is_as_exact_as_the_library_s(shift, low):
    x = torch.randn(2, 12, 13, 14, dtype=torch.float64) + shift
    x = x.contiguous(memory_format=torch.channels_last)
    library = torch.nn.functional.instance_norm
    assert_no_worse(lambda x: instance_norm(x), lambda x: library(x), {"x": x}, low)


@halves
def test_the_separable_convolution_is_as_exact_as_two(low, monkeypatch):
    monkeypatch.setattr("foveate.ops.separable._KEPT_BYTES", 0)
    functional = torch.nn.functional
    tensors = {
        "x": torch.randn(2, 24, 13, 14, dtype=torch.float64),
        "depthwise": torch.randn(24, 1, 3, 3, dtype=torch.float64),
        "pointwise": torch.randn(7, 24, 1, 1, dtype=torch.float64),
    }
    tensors["x"] = tensors["x"].contiguous(memory_format=torch.channels_last)

    def two(x, depthwise, pointwise):
        inner = functional.conv2d(x, depthwise, padding=1, groups=24)
        return functional.conv2d(inner, pointwise)

    assert_no_worse(separable_conv2d, two, tensors, low)

"""Covariance and its square root against literals, torch.linalg and numerical gradients."""

import pytest
import torch

from foveate.ops.covariance import covariance, isqrt
from support import assert_same


def positive(batch=2, size=5, extra=4, dtype=torch.float64):
    """Well conditioned covariances."""
    return covariance(torch.randn(batch, size, extra * size, dtype=dtype))


def root_of(matrix):
    """The square root by eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt()[..., None, :] @ vectors.transpose(-2, -1)


def test_literals():
    x = torch.tensor([[[1.0, 3.0, 5.0], [0.0, 0.0, 6.0]]], dtype=torch.float64)
    want = torch.tensor([[[8 / 3, 4], [4, 8]]], dtype=torch.float64)
    assert_same(covariance(x), want)
    # One step from Y = A / 5: Y (3 I - Y) / 2, times the root of the trace.
    diagonal = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    once = torch.diag(torch.tensor([0.2 * 1.4, 0.8 * 1.1], dtype=torch.float64)) * 5**0.5
    assert_same(isqrt(diagonal, 1), once)


def test_covariance_is_that_of_torch():
    x = torch.randn(3, 4, 7, 5, dtype=torch.float64)
    want = torch.stack([torch.cov(one.flatten(1), correction=0) for one in x])
    assert_same(covariance(x), want)
    assert_same(covariance(x.flatten(2)), want)
    assert_same(covariance(x.to(memory_format=torch.channels_last)), want)


def test_a_large_mean_costs_no_digits():
    x = torch.randn(2, 4, 50)
    assert_same(covariance(x + 1000), covariance((x + 1000).double()).float(), limit=1e-4)


def test_many_steps_give_the_root():
    matrix = positive()
    assert_same(isqrt(matrix, 20), root_of(matrix))
    assert_same(isqrt(matrix, 20) @ isqrt(matrix, 20), matrix)
    assert_same(isqrt(7e6 * matrix, 20), 7e6**0.5 * root_of(matrix))
    errors = [(isqrt(matrix, n) - root_of(matrix)).abs().max() for n in (1, 3, 5, 8)]
    assert errors == sorted(errors, reverse=True)


def test_gradients_are_right():
    x = torch.randn(2, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(covariance, (x,))
    assert torch.autograd.gradcheck(lambda x: isqrt(covariance(x)), (x,))
    assert torch.autograd.gradgradcheck(lambda x: isqrt(covariance(x), 2), (x,))
    matrix = positive().requires_grad_()
    assert torch.autograd.gradcheck(lambda m: isqrt(m, 1), (matrix,))
    upstream = torch.randn(2, 5, 5, dtype=torch.float64)
    ours, true = (
        torch.autograd.grad(root, matrix, upstream)[0]
        for root in (isqrt(matrix, 20), root_of(matrix))
    )
    assert_same(ours + ours.mT, true + true.mT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_position_has_no_covariance_and_no_gradient(dtype):
    x = torch.randn(2, 3, 1, 1, dtype=dtype, requires_grad=True)
    out = isqrt(covariance(x))
    assert torch.equal(out, torch.zeros(2, 3, 3, dtype=dtype))
    out.sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_tiny_numbers_have_a_root():
    matrix = positive(dtype=torch.float32)
    assert_same(isqrt(1e-16 * matrix, 20), 1e-8 * root_of(matrix.double()).float(), limit=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_compute_in_float32(dtype):
    x = torch.randn(2, 6, 40)
    want = isqrt(covariance(x))
    with torch.autocast("cpu", dtype):
        assert torch.equal(isqrt(covariance(x)), want)
    low = isqrt(covariance(x.to(dtype)))
    assert low.dtype == torch.float32
    assert torch.equal(low, isqrt(covariance(x.to(dtype).float())))
    rounded = covariance(x).to(dtype)
    assert torch.equal(isqrt(rounded), isqrt(rounded.float()))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"covariance expects x of shape \(N, d, M\).*got \(2, 3"):
        covariance(torch.rand(2, 3))
    with pytest.raises(ValueError, match=r"covariance expects x of shape.*got \(2, 3, 0\)"):
        covariance(torch.rand(2, 3, 0))
    with pytest.raises(TypeError, match="covariance expects x of a floating dtype"):
        covariance(torch.ones(2, 3, 4, dtype=torch.long))
    with pytest.raises(TypeError, match="isqrt expects a tensor matrix"):
        isqrt([[1.0]])
    with pytest.raises(ValueError, match=r"isqrt expects a matrix of shape \(..., d, d\)"):
        isqrt(torch.rand(2, 3))
    with pytest.raises(ValueError, match="isqrt expects iterations >= 1; got 0"):
        isqrt(torch.eye(2), 0)

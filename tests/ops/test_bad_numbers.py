"""Offsets and pixels that are NaN, infinite or huge: who they may reach, and who not."""

import math

import pytest
import torch
from operator_cases import FORMS, convolve, make

from support import gradients_of

forms = pytest.mark.parametrize("form", FORMS)


@forms
def test_a_nan_offset_spoils_its_own_pixel_only(form):
    tensors, sizes = make("gate")
    clean, clean_grads = gradients_of(lambda **t: convolve(form, **t, **sizes), tensors)
    tensors["offset"][0, 4, 2, 3] = math.nan
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    out = convolve(form, **leaves, **sizes)
    bad = torch.zeros(out.shape, dtype=torch.bool)
    bad[0, :, 2, 3] = True
    assert out[bad].isnan().all()
    assert torch.equal(out[~bad], clean[~bad])
    # A loss that leaves the pixel out has finite gradients for every input.
    out.where(~bad, 0.0).square().sum().backward()
    assert leaves["input"].grad.isfinite().all()
    assert leaves["mask"].grad[0, 0].isfinite().all()
    others = torch.ones_like(tensors["offset"], dtype=torch.bool)
    others[0, 4:6, 2, 3] = False  # both coordinates of the spoilt tap
    assert leaves["offset"].grad[others].isfinite().all()
    assert clean_grads["input"].isfinite().all()


@forms
@pytest.mark.parametrize("bad", [math.inf, -math.inf, 1e30, -3e38, 1e9])
@pytest.mark.parametrize("axis", [0, 1])
def test_huge_and_infinite_offsets_read_zero_with_zero_gradient(form, bad, axis):
    x = torch.rand(1, 2, 5, 7) + 1
    offset = torch.zeros(1, 2, 5, 7)
    offset[0, axis, 2, 3] = bad
    tensors = {"input": x, "offset": offset, "weight": torch.ones(1, 2, 1, 1)}
    out, grads = gradients_of(lambda **t: convolve(form, **t), tensors)
    assert out[0, 0, 2, 3] == 0
    assert (out[0, 0] != 0).sum() == 34
    assert torch.equal(grads["offset"][0, :, 2, 3], torch.zeros(2))
    assert grads["input"][0, :, 2, 3].eq(0).all()
    assert grads["input"].isfinite().all()


@forms
def test_huge_offsets_on_both_axes_read_zero_too(form):
    x, offset = torch.rand(1, 2, 5, 7) + 1, torch.zeros(1, 2, 5, 7)
    offset[0, :, 2, 3] = 3e38  # their sum is infinite in float32
    out = convolve(form, x, offset, torch.ones(1, 2, 1, 1))
    assert out[0, 0, 2, 3] == 0
    assert out.isfinite().all()


@forms
def test_a_nan_pixel_reaches_only_those_who_read_it(form):
    x = torch.rand(2, 1, 6, 6)
    x[0, 0, 0, 0] = math.nan
    offset = torch.full((2, 18, 6, 6), 50.0)  # everything reads outside
    offset[:, :, 5, 5] = 0.0
    out = convolve(form, x, offset, torch.ones(1, 1, 3, 3), padding=1)
    assert out.isfinite().all()

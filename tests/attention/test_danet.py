"""Dual attention beside its formula and the authors' code."""

import pytest
import torch
from formulas import check_formula
from pointwise import conv1x1

from foveate.attention import DualAttention, attention_spec
from recording import check_recorded, fill_
from support import assert_same


def written(weights, x):
    query, key, value = (conv1x1(weights, name, x) for name in ("query", "key", "value"))
    likeness = torch.einsum("nchw,ncuv->nhwuv", query, key).exp()
    shares = likeness / likeness.sum((3, 4), keepdim=True)
    positions = torch.einsum("nhwuv,ncuv->nchw", shares, value)
    energy = torch.einsum("nchw,ndhw->ncd", x, x)
    shares = (energy.max(2, keepdim=True).values - energy).softmax(2)
    channels = torch.einsum("ncd,ndhw->nchw", shares, x)
    return x + weights["scale_positions"] * positions + weights["scale_channels"] * channels


@pytest.mark.parametrize("reduction", [8, 3])
def test_danet_is_its_formula(reduction):
    # A bias of all keys alike drops out of the softmax.
    module = DualAttention(16, reduction)
    check_formula(module, written, (2, 16, 5, 3), vanishing=["key.bias"])


def test_danet_gives_the_numbers_of_the_official_code():
    check_recorded("danet")


def test_unlike_channels_weigh_most():
    module = DualAttention(3).double()
    with torch.no_grad():
        module.scale_channels.fill_(1.0)
    x = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    x[0, 0, 0, 0] = x[0, 1, 0, 1] = x[0, 2, 0, 1] = 30.0
    added = (module(x) - x)[0, :, 0]
    # The first channel is unlike the other two, which are alike; each of them is unlike the first.
    want = torch.tensor([[0.0, 30.0], [30.0, 0.0], [30.0, 0.0]], dtype=torch.float64)
    assert_same(added, want)


def test_both_scales_start_at_zero():
    module = DualAttention(8)
    assert module.scale_positions.tolist() == module.scale_channels.tolist() == [0.0]
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(module(x), x)


def test_size_and_options():
    params = attention_spec("danet").params
    assert params(512) == 2 * (512 * 64 + 64) + 512**2 + 512 + 2
    counted = sum(weight.numel() for weight in DualAttention(12, reduction=3).parameters())
    assert counted == params(12, reduction=3)
    with pytest.raises(ValueError, match="DualAttention expects reduction >= 1; got 0"):
        DualAttention(8, reduction=0)


def test_it_is_traced_symbolically():
    module = fill_(DualAttention(8))
    x = torch.randn(2, 8, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))

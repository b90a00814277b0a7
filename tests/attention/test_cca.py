"""Criss-cross attention beside dense attention masked to the cross, and what it may keep."""

import pytest
import torch
from formulas import check_formula
from pointwise import conv1x1
from torch.utils._python_dispatch import TorchDispatchMode

from foveate.attention import (
    CrissCrossAttention,
    RecurrentCrissCrossAttention,
    attention_spec,
)
from foveate.attention.cca import cross_weights
from recording import check_recorded, fill_
from support import assert_same


def written(weights, x, prefix=""):
    """Dense attention between all positions, those off the cross masked."""
    height, width = x.shape[2:]
    query, key, value = (conv1x1(weights, prefix + n, x) for n in ("query", "key", "value"))
    likeness = torch.einsum("nchw,ncuv->nhwuv", query, key)
    same_row = torch.arange(height)[:, None] == torch.arange(height)
    same_column = torch.arange(width)[:, None] == torch.arange(width)
    cross = same_row[:, None, :, None] | same_column[None, :, None, :]
    shares = likeness.exp() * cross
    shares = shares / shares.sum((3, 4), keepdim=True)
    attended = torch.einsum("nhwuv,ncuv->nchw", shares, value)
    return x + weights[f"{prefix}scale"] * attended


@pytest.mark.parametrize("size", [(5, 7), (6, 2), (1, 4), (3, 1)])
def test_cca_is_its_formula(size):
    # A bias of all keys alike drops out of the softmax.
    check_formula(CrissCrossAttention(16), written, (2, 16, *size), vanishing=["key.bias"])


def test_cca_gives_the_numbers_of_the_official_code():
    check_recorded("cca")


def test_each_position_weighs_its_cross_and_itself_once():
    # Alike queries and keys weigh H + W - 1 positions the same.
    module = CrissCrossAttention(3).double()
    with torch.no_grad():
        module.query.weight.zero_()
        module.query.bias.zero_()
        module.value.weight.copy_(torch.eye(3)[:, :, None, None])
        module.value.bias.zero_()
        module.scale.fill_(1.0)
    x = torch.zeros(1, 3, 4, 6, dtype=torch.float64)
    x[0, 1, 2, 3] = 9.0
    added = (module(x) - x)[0]
    want = torch.zeros_like(added)
    want[1, 2, :] = want[1, :, 3] = 1.0
    assert_same(added, want)


def test_the_scale_starts_at_zero():
    module = CrissCrossAttention(8)
    assert module.scale.tolist() == [0.0]
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(module(x), x)


def test_published_size_and_widths():
    assert attention_spec("cca").params(512) == 328_321
    assert CrissCrossAttention(4).query.out_channels == 1
    counted = sum(weight.numel() for weight in CrissCrossAttention(24, 4).parameters())
    assert counted == attention_spec("cca").params(24, reduction=4)


def test_nothing_of_the_size_of_all_pairs_is_kept():
    class Largest(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, run, types, args=(), kwargs=None):
            out = run(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.seen = max(self.seen, out.numel())
            return out

    x = torch.rand(1, 8, 16, 12, requires_grad=True)
    with Largest() as largest:
        fill_(CrissCrossAttention(8))(x).sum().backward()
    assert x.grad is not None
    assert largest.seen == 16 * 12 * (16 + 12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [(5, 7), (1, 4), (3, 1)])
def test_the_mask_is_finite_in_half_precision(dtype, size):
    module = fill_(CrissCrossAttention(8))
    x = torch.randn(2, 8, *size)
    want = module(x)
    with torch.autocast("cpu", dtype):
        assert_same(module(x).float(), want, limit=2e-2)
    low = x.to(dtype).requires_grad_()
    out = module.to(dtype)(low)
    out.sum().backward()
    assert_same(out, want)
    assert all(one.grad.isfinite().all() for one in (low, *module.parameters()))


@pytest.mark.parametrize("make", [CrissCrossAttention, RecurrentCrissCrossAttention])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_values_stay_finite_in_half_precision(make, dtype):
    torch.manual_seed(0)
    module = make(2048)
    x = (100 * torch.randn(1, 2048, 7, 7)).relu().to(dtype)
    with torch.autocast("cpu", dtype):
        assert torch.equal(module(x), x)
    assert torch.equal(module.to(dtype)(x), x)


def test_likenesses_beyond_half_precision_are_weighed():
    # Each is near 2 * 256 * 256, and their differences lie far below the step of a float16.
    query, key = torch.full((2, 1, 3, 4, 5), 256.0)
    key[:, 0] -= torch.arange(20.0).view(4, 5) / 4
    query[:, 0] = 0.25
    want = cross_weights(query.double(), key.double())
    assert want.max() < 0.5
    assert_same(cross_weights(query.half(), key.half()), want.float())
    with torch.autocast("cpu", torch.float16):
        assert_same(cross_weights(query, key), want.float())


def test_it_is_traced_symbolically():
    module = fill_(CrissCrossAttention(8))
    x = torch.randn(2, 8, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))


def test_a_wrong_reduction_is_named():
    with pytest.raises(ValueError, match="CrissCrossAttention expects reduction >= 1; got 0"):
        CrissCrossAttention(8, reduction=0)

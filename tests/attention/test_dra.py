"""Dual relation-aware attention: the sum of what its two parts add."""

import pytest
import torch
from formulas import check_formula
from test_ccam import written as channel
from test_cpam import written as position

from foveate.attention import DualRelationAttention, attention_spec
from recording import fill_
from support import assert_same


@pytest.mark.parametrize("training", [False, True])
def test_dra_is_its_formula(training):
    pools = (1, 2, 4)

    def formula(weights, x):
        first = position(weights, x, pools, training, "position.")
        second = channel(weights, x, training, "channel.")
        return x + (first - x) + (second - x)

    module = DualRelationAttention(12, pools, position_reduction=3, channel_reduction=2)
    check_formula(module, formula, (3, 12, 4, 5), training, vanishing=["position.key.bias"])


def test_it_is_what_its_parts_say():
    module = fill_(DualRelationAttention(16)).eval()
    x = torch.randn(2, 16, 7, 5)
    parts = module.position(x) + module.channel(x)
    assert_same(module(x), parts - x)


def test_published_size_and_options():
    params = attention_spec("dra").params
    assert params(512) == 1_463_106
    options = {"pools": (2, 3), "position_reduction": 2, "channel_reduction": 5}
    module = DualRelationAttention(10, **options)
    assert sum(weight.numel() for weight in module.parameters()) == params(10, **options)


def test_both_scales_start_at_zero():
    module = DualRelationAttention(8)
    assert module.position.scale.tolist() == module.channel.scale.tolist() == [0.0]
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(module(x), x)  # in training too


def test_it_is_traced_symbolically():
    module = fill_(DualRelationAttention(8)).eval()
    x = torch.randn(2, 8, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))


def test_a_single_image_cannot_train_a_pool_to_one_bin():
    module = DualRelationAttention(8)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(torch.rand(1, 8, 7, 5))
    assert module.eval()(torch.rand(1, 8, 7, 5)).shape == (1, 8, 7, 5)
    pooled = DualRelationAttention(8, pools=(2, 3))
    assert pooled(torch.rand(1, 8, 7, 5)).shape == (1, 8, 7, 5)

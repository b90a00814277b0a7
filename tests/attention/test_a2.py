"""Double attention beside its formula, and its options."""

import pytest
import torch
from formulas import check_formula
from pointwise import conv1x1

from foveate.attention import DoubleAttention, attention_spec
from support import assert_same


def written(weights, x):
    """Dense: every position weighs all others by what it and they share in n maps."""
    features = conv1x1(weights, "feature", x).flatten(2)
    gather = conv1x1(weights, "gather", x).flatten(2).exp()
    hand_out = conv1x1(weights, "distribute", x).flatten(2).exp()
    gather = gather / gather.sum(2, keepdim=True)
    hand_out = hand_out / hand_out.sum(1, keepdim=True)
    shares = torch.einsum("njq,njp->nqp", gather, hand_out)
    mixed = torch.einsum("nmq,nqp->nmp", features, shares).unflatten(2, x.shape[2:])
    return x + conv1x1(weights, "out", mixed)


@pytest.mark.parametrize("options", [{}, {"feature_ratio": 0.5, "map_ratio": 1 / 3}])
def test_a2_is_its_formula(options):
    # A bias on the gathering maps is the same at all positions, and drops out of the softmax.
    check_formula(DoubleAttention(12, **options), written, (2, 12, 5, 7), vanishing=["gather.bias"])


def test_the_last_convolution_starts_at_zero():
    module = DoubleAttention(8)
    assert not module.out.weight.any() and not module.out.bias.any()
    assert module.feature.weight.any() and module.gather.weight.any()
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(module(x), x)


def test_widths_follow_the_ratios():
    module = DoubleAttention(20, feature_ratio=0.5, map_ratio=0.2)
    assert module.feature.out_channels == module.out.in_channels == 10
    assert module.gather.out_channels == module.distribute.out_channels == 4
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec("a2").params(20, feature_ratio=0.5, map_ratio=0.2)


def test_published_sizes():
    # ResNet-50 with two blocks in its second stage and three in its third.
    params = attention_spec("double_attention").params
    quarter = 2 * params(512) + 3 * params(1024)
    half = {"feature_ratio": 0.5, "map_ratio": 0.5}
    assert 25_557_032 + quarter == 29_234_216
    assert 25_557_032 + 2 * params(512, **half) + 3 * params(1024, **half) == 32_907_304


def test_wrong_ratios_are_named():
    for option in ("feature_ratio", "map_ratio"):
        with pytest.raises(ValueError, match=rf"{option} in \(0, 1\]; got 0"):
            DoubleAttention(8, **{option: 0})


def test_it_is_traced_symbolically():
    module = DoubleAttention(6)
    torch.nn.init.ones_(module.out.weight)
    x = torch.randn(2, 6, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))

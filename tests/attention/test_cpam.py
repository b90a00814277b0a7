"""Compact position attention beside its formula and the authors' code."""

import pytest
import torch
from formulas import batch_norm, check_formula
from pointwise import conv1x1
from torch.nn import functional

from foveate.attention import CompactPositionAttention, attention_spec
from recording import check_recorded, fill_
from support import assert_same


def written(weights, x, pools=(1, 2, 3, 6), training=False, prefix=""):
    """One position at a time over a list of centres."""
    centres = []
    for number, bins in enumerate(pools):
        name = f"{prefix}gather.{number}"
        pooled = functional.adaptive_avg_pool2d(x, bins)
        mixed = batch_norm(weights, f"{name}.2", conv1x1(weights, f"{name}.1", pooled), training)
        centres += mixed.clamp(min=0).flatten(2).unbind(2)
    query = conv1x1(weights, f"{prefix}query", x)
    layers = {
        name: (weights[f"{prefix}{name}.weight"][..., 0], weights[f"{prefix}{name}.bias"])
        for name in ("key", "value")
    }
    keys = [functional.linear(one, *layers["key"]) for one in centres]
    values = [functional.linear(one, *layers["value"]) for one in centres]
    likeness = torch.stack([torch.einsum("ndhw,nd->nhw", query, key) for key in keys])
    shares = likeness.exp() / likeness.exp().sum(0)
    attended = sum(a[:, None] * v[:, :, None, None] for a, v in zip(shares, values, strict=True))
    return x + weights[f"{prefix}scale"] * attended


@pytest.mark.parametrize("pools", [(1, 2, 3, 6), (4,), [2, 1]])
@pytest.mark.parametrize("training", [False, True])
def test_cpam_is_its_formula(pools, training):
    check_formula(
        CompactPositionAttention(8, pools),
        lambda weights, x: written(weights, x, pools, training),
        (3, 8, 7, 5),
        training,
        vanishing=["key.bias"],  # the same for all centres, it drops out of the softmax
    )


def test_cpam_gives_the_numbers_of_the_official_code():
    check_recorded("cpam")


def test_published_size_and_options():
    params = attention_spec("cpam").params
    assert params(512) == 4 * (512**2 + 1024) + 2 * (512 * 128 + 128) + 512**2 + 512 + 1
    module = CompactPositionAttention(12, pools=(1, 5), reduction=3)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == params(12, pools=(1, 5), reduction=3)
    assert module.query.out_channels == 4


def test_the_scale_starts_at_zero():
    module = CompactPositionAttention(8)
    assert module.scale.tolist() == [0.0]
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(module(x), x)  # in training too


def test_maps_below_the_bins_are_taken():
    module = fill_(CompactPositionAttention(4)).eval()
    x = torch.randn(2, 4, 2, 3)
    weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert_same(module(x), written(weights, x))


def test_it_is_traced_symbolically():
    module = fill_(CompactPositionAttention(8)).eval()
    x = torch.randn(2, 8, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pools": ()}, r"pools as a sequence of sides; got \(\)"),
        ({"pools": 5}, "pools as a sequence of sides; got 5"),
        ({"pools": (1, 0)}, "side in pools >= 1; got 0"),
        ({"reduction": 0}, "reduction >= 1; got 0"),
    ],
)
def test_wrong_options_are_named(options, text):
    with pytest.raises(ValueError, match=f"CompactPositionAttention expects {text}"):
        CompactPositionAttention(8, **options)

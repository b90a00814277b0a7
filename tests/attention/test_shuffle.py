"""Shuffle attention against its formula, and its options."""

import pytest
import torch
from formulas import check_formula

import foveate
from foveate.attention import ShuffleAttention, attention_spec
from recording import fill_
from support import assert_same


def formula(weights, x, groups):
    """Channel by channel."""
    channels = x.shape[1]
    half = channels // (2 * groups)
    weighed = []
    for channel in range(channels):
        one = x[:, channel]
        second, own = divmod(channel % (2 * half), half)
        mean = one.mean((1, 2), keepdim=True)
        if second:
            spread = ((one - mean) ** 2).mean((1, 2), keepdim=True) + 1e-5
            score = (one - mean) / spread.sqrt()
            score = score * weights["norm_weight"][own] + weights["norm_bias"][own]
            score = score * weights["position_weight"][own] + weights["position_bias"][own]
        else:
            score = mean * weights["channel_weight"][own] + weights["channel_bias"][own]
        weighed.append(one / (1 + (-score).exp()))
    order = [source for pair in range(channels // 2) for source in (pair, pair + channels // 2)]
    return torch.stack([weighed[source] for source in order], 1)


@pytest.mark.parametrize(("channels", "groups"), [(12, 1), (12, 3), (12, 6), (24, 2), (2, 1)])
def test_shuffle_is_its_formula(channels, groups):
    module = ShuffleAttention(channels, groups)
    check_formula(module, lambda w, x: formula(w, x, groups), (2, channels, 7, 4))


def test_shuffle_takes_as_many_groups_as_fit():
    chosen = {2: 1, 6: 3, 24: 12, 64: 32, 128: 64, 192: 48, 320: 40, 256: 64, 2048: 64}
    for channels, groups in chosen.items():
        assert ShuffleAttention(channels).groups == groups


def test_shuffle_has_the_published_size():
    count = attention_spec("shuffle").params
    assert [count(c) for c in (256, 512, 1024, 2048)] == [12, 24, 48, 96]
    assert count(64) == 6
    assert count(64, groups=8) == 24
    blocks = {256: 3, 512: 4, 1024: 6, 2048: 3}
    assert 25_557_032 + sum(n * count(c) for c, n in blocks.items()) == 25_557_740
    for options in ({}, {"groups": 4}):
        counted = sum(weight.numel() for weight in ShuffleAttention(48, **options).parameters())
        assert counted == count(48, **options)


def test_shuffle_starts_as_a_scaled_shuffle():
    x = torch.rand(2, 6, 4, 3)
    want = x[:, [0, 3, 1, 4, 2, 5]] * torch.tensor(1.0).sigmoid()
    torch.testing.assert_close(ShuffleAttention(6)(x), want)


def test_shuffle_has_a_short_name():
    assert isinstance(foveate.create_attention("sa", 8, groups=2), ShuffleAttention)


@pytest.mark.parametrize("make", [ShuffleAttention, attention_spec("shuffle").params])
def test_shuffle_names_groups_that_do_not_fit(make):
    text = (
        r"ShuffleAttention expects groups of an equal and even number of channels; "
        r"got groups=64 for 192 channels; groups=48 is the default here"
    )
    with pytest.raises(ValueError, match=text):
        make(192, groups=64)
    with pytest.raises(ValueError, match="groups >= 1; got 0"):
        make(8, groups=0)


@pytest.mark.parametrize("make", [ShuffleAttention, attention_spec("shuffle").params])
@pytest.mark.parametrize("channels", [1, 7])
def test_shuffle_names_an_odd_number_of_channels(make, channels):
    with pytest.raises(ValueError, match=f"channels that are a multiple of 2; got {channels}"):
        make(channels)


@pytest.mark.parametrize("train", [True, False])
def test_one_pixel_of_one_image_is_defined(train):
    module = fill_(ShuffleAttention(8, 2)).train(train)
    x = torch.rand(1, 8, 1, 1)
    assert_same(module(x), module(x.repeat(2, 1, 1, 1))[:1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_shuffle_keeps_the_dtype_under_autocast(dtype):
    module = fill_(ShuffleAttention(8, 2))
    x = torch.rand(2, 8, 5, 4)
    with torch.autocast("cpu", dtype):
        assert module(x).dtype == torch.float32
        low = module(x.to(dtype))
    assert low.dtype == dtype
    assert_same(low, module(x))

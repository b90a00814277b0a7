"""Efficient multi-scale attention against its formula, written out group by group."""

import pytest
import torch
from torch.nn import functional

import foveate
from foveate.attention import EfficientMultiScaleAttention, attention_spec
from recording import fill_, wave
from support import assert_same, gradients_of


def plain(x, weights, groups):
    """Both sums with the means of both views, each group of each image alone."""
    width = x.shape[1] // groups
    lines = weights["lines.weight"][:, :, 0, 0]
    shift = weights["lines.bias"][:, None]
    images = []
    for image in x:
        parts = []
        for part in image.split(width):
            rows = (lines @ (part.sum(2) / part.shape[2]) + shift).sigmoid()
            columns = (lines @ (part.sum(1) / part.shape[1]) + shift).sigmoid()
            left = torch.einsum("chw,ch,cw->chw", part, rows, columns)
            centred = left - left.mean((1, 2), keepdim=True)
            left = centred / (centred.square().mean((1, 2), keepdim=True) + 1e-5).sqrt()
            left = left * weights["norm.weight"][:, None, None]
            left = left + weights["norm.bias"][:, None, None]
            right = functional.conv2d(
                part[None], weights["local.weight"], weights["local.bias"], padding=1
            )[0]
            total = 0
            for mine, other in ((left, right), (right, left)):
                raised = mine.mean((1, 2)).exp()
                for channel in range(width):
                    total = total + raised[channel] / raised.sum() * other[channel]
            parts.append(part / (1 + (-total).exp()))
        images.append(torch.cat(parts))
    return torch.stack(images)


@pytest.mark.parametrize(("channels", "groups"), [(12, 3), (12, 1), (12, 12)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_ema_is_its_formula(channels, groups, layout):
    module = fill_(EfficientMultiScaleAttention(channels, groups=groups).double())
    inputs = {"x": wave((2, channels, 4, 7)), **dict(module.named_parameters())}

    def ours(x, **given):
        laid = x.contiguous(memory_format=layout)
        return torch.func.functional_call(module, given, (laid,))

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(lambda x, **given: plain(x, given, groups), inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


def test_the_default_is_32_groups_or_the_next_number_that_divides():
    groups = {64: 32, 48: 24, 320: 32, 24: 24, 6: 6, 37: 1, 1: 1}
    assert {c: EfficientMultiScaleAttention(c).groups for c in groups} == groups


def test_its_size_is_that_of_the_official_module():
    params = attention_spec("ema").params
    assert [params(c) for c in (64, 256, 512, 2048)] == [48, 672, 2624, 41_216]
    assert params(64, groups=8) == 10 * 64 + 4 * 8
    # The authors' MobileNetV2 has it behind depthwise convolutions of more than 144 channels;
    # 3.55 million parameters are published.
    inner = {192: 3, 384: 4, 576: 3, 960: 3}
    assert 3_504_872 + sum(n * params(c) for c, n in inner.items()) == 3_549_272


def test_groups_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="groups that divide the channels; got 5 for 12"):
        EfficientMultiScaleAttention(12, groups=5)
    with pytest.raises(ValueError, match="groups >= 1; got 0"):
        foveate.create_attention("ema", 12, groups=0)


def test_a_single_pixel_of_a_single_group_is_defined():
    module = fill_(EfficientMultiScaleAttention(5, groups=1).double())
    x = wave((1, 5, 1, 1))
    assert_same(module(x), plain(x, dict(module.named_parameters()), 1))

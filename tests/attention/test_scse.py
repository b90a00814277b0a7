"""Concurrent squeeze-and-excitation against its formula, written out value by value."""

import pytest
import torch

from foveate.attention import SpatialChannelSqueezeExcite, attention_spec
from recording import check_recorded, fill_, wave
from support import assert_same, gradients_of


def plain(x, weights, combine):
    def layer(name, value):
        out = weights[f"{name}.weight"].flatten(1) @ value
        bias = weights.get(f"{name}.bias")
        return out if bias is None else out + (bias if out.dim() == 1 else bias[:, None])

    images = []
    for image in x:
        values = image.flatten(1)
        hidden = layer("squeeze", values.sum(1) / values.shape[1]).clamp(min=0)
        channel = 1 / (1 + (-layer("excite", hidden)).exp())
        spatial = 1 / (1 + (-layer("spatial", values)[0]).exp())
        first, second = values * channel[:, None], values * spatial
        both = first + second if combine == "sum" else torch.where(first > second, first, second)
        images.append(both.reshape(image.shape))
    return torch.stack(images)


@pytest.mark.parametrize("combine", ["max", "sum"])
@pytest.mark.parametrize("bias", [True, False])
def test_scse_is_its_formula(combine, bias):
    module = SpatialChannelSqueezeExcite(12, reduction=3, combine=combine, bias=bias)
    module = fill_(module.double())
    inputs = {"x": 3 * wave((2, 12, 4, 7), 1.0), **dict(module.named_parameters())}

    def ours(x, **given):
        return torch.func.functional_call(module, given, (x,))

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(lambda x, **given: plain(x, given, combine), inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


def test_scse_gives_the_numbers_of_the_official_code():
    check_recorded("scse")


def test_the_larger_value_not_the_larger_gate_is_taken():
    module = SpatialChannelSqueezeExcite(2)
    x = torch.randn(1, 2, 3, 3)
    channel, spatial = module.gates(x)
    assert (channel.shape, spatial.shape) == ((1, 2, 1, 1), (1, 1, 3, 3))
    smaller = x * torch.minimum(channel, spatial)
    assert torch.equal(module(x)[x < 0], smaller[x < 0])


def test_its_size_is_that_of_the_official_module():
    params = attention_spec("scse").params
    # Two layers to and from C // 2 and one to a single channel, with biases.
    assert [params(c) for c in (1, 64, 512)] == [6, 4257, 263_425]
    assert params(64, reduction=16, bias=False) == 2 * 64 * 4 + 64
    counted = sum(w.numel() for w in SpatialChannelSqueezeExcite(64, bias=False).parameters())
    assert counted == params(64, bias=False)


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="known combine; got 'maximum'"):
        SpatialChannelSqueezeExcite(8, combine="maximum")
    with pytest.raises(ValueError, match="reduction >= 1; got 0"):
        SpatialChannelSqueezeExcite(8, reduction=0)

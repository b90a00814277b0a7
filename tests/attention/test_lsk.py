"""The large selective kernel against its formula, with dense kernels and explicit sums."""

import pytest
import torch
from torch.nn import functional

from foveate.attention import LargeSelectiveKernel, attention_spec
from recording import fill_, wave
from support import assert_same, gradients_of


def dense(x, weight, bias, dilation=1):
    """A depthwise convolution by a kernel over all channels with zeros between its taps."""
    channels, size = weight.shape[0], dilation * (weight.shape[-1] - 1) + 1
    kernel = weight.new_zeros(channels, channels, size, size)
    for c in range(channels):
        kernel[c, c, ::dilation, ::dilation] = weight[c, 0]
    return functional.conv2d(x, kernel, bias, padding=size // 2)


def point(x, weight, bias):
    return torch.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0]) + bias[:, None, None]


@pytest.mark.parametrize("channels", [1, 5, 6])
def test_lsk_is_its_formula(channels):
    module = fill_(LargeSelectiveKernel(channels).double())
    inputs = {"x": wave((2, channels, 12, 9)), **dict(module.named_parameters())}

    def ours(x, **given):
        return torch.func.functional_call(module, given, (x,))

    def plain(x, **given):
        def layer(name):
            return given[f"{name}.weight"], given[f"{name}.bias"]

        first = dense(x, *layer("near"))
        second = point(dense(first, *layer("far"), dilation=3), *layer("squeeze_far"))
        first = point(first, *layer("squeeze_near"))
        count = first.shape[1] + second.shape[1]
        mean = (first.sum(1) + second.sum(1)) / count
        largest = torch.maximum(first.max(1).values, second.max(1).values)
        logits = functional.conv2d(torch.stack([mean, largest], 1), *layer("choose"), padding=3)
        one, two = (1 / (1 + (-logits).exp())).unbind(1)
        mixed = torch.einsum("nchw,nhw->nchw", first, one)
        mixed = mixed + torch.einsum("nchw,nhw->nchw", second, two)
        return x * point(mixed, *layer("expand"))

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(plain, inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


def test_its_size_is_that_of_the_official_module():
    params = attention_spec("lsk").params
    for channels in (64, 512):
        half = channels // 2
        kernels = channels * (25 + 1) + channels * (49 + 1) + 2 * 2 * 49 + 2
        layers = 2 * (channels * half + half) + half * channels + channels
        assert params(channels) == kernels + layers
    assert (params(64), params(1), params(5)) == (11_334, 280, 617)


def test_it_starts_as_the_authors_do():
    torch.manual_seed(0)
    module = LargeSelectiveKernel(256)
    starts = {"near": 25, "far": 49, "squeeze_near": 128, "expand": 256, "choose": 98}
    for name, outputs in starts.items():
        conv = getattr(module, name)
        assert abs(conv.weight.std() / (2 / outputs) ** 0.5 - 1) < 0.15
        assert not conv.bias.any()


def test_the_choices_are_independent():
    module = fill_(LargeSelectiveKernel(6).double())
    chosen = module.choices(wave((1, 3, 5, 4)), wave((1, 3, 5, 4), 2.0))
    assert chosen.shape == (1, 2, 5, 4)
    assert (chosen.sum(1) - 1).abs().max() > 1e-3

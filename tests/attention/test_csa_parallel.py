"""The three parallel gates against their formula, written out."""

import pytest
import torch
from torch.nn import functional

from foveate.attention import ParallelGates, attention_spec
from recording import fill_, wave
from support import assert_same, gradients_of


def norm(x, weights, name, training):
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    else:
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    scale = weights[f"{name}.weight"] / (variance + 1e-5).sqrt()
    return (x - mean[:, None, None]) * scale[:, None, None] + weights[f"{name}.bias"][:, None, None]


def plain(x, weights, training):
    def layer(name, value):
        return torch.einsum("oc,nc...->no...", weights[f"{name}.weight"][:, :, 0, 0], value)

    mean = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
    hidden = (layer("channel.0", mean) + weights["channel.0.bias"]).clamp(min=0)
    channel = layer("channel.2", hidden) + weights["channel.2.bias"]
    pooled = torch.stack([x.max(1).values, x.sum(1) / x.shape[1]], 1)
    kernel = weights["spatial.0.weight"]
    spatial = functional.conv2d(pooled, kernel, padding=kernel.shape[-1] // 2)
    spatial = norm(spatial, weights, "spatial.1", training)[:, 0]
    hidden = norm(layer("each.0", x), weights, "each.1", training).clamp(min=0)
    each = layer("each.3", hidden) + weights["each.3.bias"][:, None, None]
    gates = (channel[:, :, None, None], spatial[:, None], each)
    return sum(x / (1 + (-gate).exp()) / 3 for gate in gates)


@pytest.mark.parametrize("training", [False, True])
def test_csa_parallel_is_its_formula(training):
    module = ParallelGates(12, reduction=3, kernel=5)
    module = fill_(module.double()).train(training)
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    names = [key for key, _ in module.named_parameters()]
    inputs = {"x": 2 * wave((2, 12, 4, 7)), **{key: weights[key] for key in names}}

    def ours(x, **given):
        return torch.func.functional_call(module, given, (x,))

    got, got_grads = gradients_of(ours, inputs)
    want, want_grads = gradients_of(lambda x, **given: plain(x, weights | given, training), inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


def test_its_sizes_are_those_of_its_definition():
    params = attention_spec("csa_parallel").params
    for channels in (64, 512, 2048):
        hidden = channels // 16
        assert params(channels) == 4 * channels * hidden + 3 * hidden + 2 * channels + 100
    sites = {256: 3, 512: 4, 1024: 6, 2048: 3}
    assert 25_557_032 + sum(n * params(c) for c, n in sites.items()) == 30_621_560
    assert params(64, kernel=3) == params(64) - 2 * (49 - 9)


def test_it_says_that_it_reproduces_nothing():
    spec = attention_spec("csa_parallel")
    assert "reproduces nothing" in spec.title
    assert "no reproduction" in spec.factory.__doc__
    assert spec.official is None and spec.link == ""


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="odd kernel; got 4"):
        ParallelGates(8, kernel=4)
    with pytest.raises(ValueError, match="reduction >= 1; got 0"):
        ParallelGates(8, reduction=0)


def test_csa_parallel_learns_from_a_single_pixel_in_a_batch_alone():
    """Documented: its norm over positions needs two values."""
    module = ParallelGates(4)
    module(torch.randn(2, 4, 1, 1)).sum().backward()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(torch.randn(1, 4, 1, 1))
    module(torch.randn(1, 4, 1, 2)).sum().backward()
    module.eval()(torch.randn(1, 4, 1, 1))

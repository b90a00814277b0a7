"""The global context block against its formula and against the authors' code."""

import pytest
import torch
from formulas import check_formula

from foveate.attention import GlobalContext, attention_spec
from recording import check_recorded


def formula(weights, x):
    n, c, h, w = x.shape
    pixels = x.reshape(n, c, h * w)
    scores = torch.einsum("ncp,c->np", pixels, weights["layer.conv_attn.weight"].flatten())
    shares = (scores + weights["layer.conv_attn.bias"]).exp()
    context = torch.einsum("ncp,np->nc", pixels, shares / shares.sum(1, keepdim=True))
    matrices = [weights[f"layer.mlp_add.{name}.weight"].flatten(1) for name in ("fc1", "fc2")]
    hidden = context @ matrices[0].T + weights["layer.mlp_add.fc1.bias"]
    spread = hidden.var(1, correction=0, keepdim=True) + 1e-5
    hidden = (hidden - hidden.mean(1, keepdim=True)) / spread.sqrt()
    hidden = hidden * weights["layer.mlp_add.norm.weight"] + weights["layer.mlp_add.norm.bias"]
    added = hidden.clamp(min=0) @ matrices[1].T + weights["layer.mlp_add.fc2.bias"]
    return x + added.reshape(n, c, 1, 1)


# A bias that all positions share drops out of their softmax.
@pytest.mark.parametrize("reduction", [4, 8])
def test_gc_is_its_formula(reduction):
    module = GlobalContext(32, reduction)
    check_formula(module, formula, (2, 32, 7, 4), vanishing=["layer.conv_attn.bias"])


def test_gc_gives_the_numbers_of_the_official_code():
    check_recorded("gc")


def test_gc_has_the_published_size():
    count = attention_spec("gc").params
    assert count(64) == 65 + 2 * 64 * 4 + 4 + 64 + 8
    assert count(256, reduction=4) == 257 + 2 * 256 * 64 + 64 + 256 + 128
    for options in ({}, {"reduction": 4}):
        counted = sum(weight.numel() for weight in GlobalContext(64, **options).parameters())
        assert counted == count(64, **options)


def test_gc_starts_as_the_official_code_does():
    x = torch.randn(2, 32, 7, 4)
    module = GlobalContext(32)
    assert torch.equal(module(x), x)
    last = module.layer.mlp_add.fc2
    assert not last.weight.any() and not last.bias.any()
    kernels = [GlobalContext(64).layer.conv_attn.weight for _ in range(50)]
    assert abs(torch.stack(kernels).std() / (2 / 64) ** 0.5 - 1) < 0.05


def test_gc_names_wrong_options():
    with pytest.raises(ValueError, match="GlobalContext expects reduction >= 1; got 0"):
        GlobalContext(8, reduction=0)

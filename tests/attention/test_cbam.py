"""Convolutional block attention against its formula and against the authors' code."""

import pytest
import torch
from formulas import batch_norm, check_formula
from torch.nn import functional

from foveate.attention import ConvBlockAttention, attention_spec
from recording import check_recorded


def formula(weights, x, training=False):
    def mlp(pooled):
        for name in ("fc1", "fc2"):
            matrix = weights[f"layer.channel.{name}.weight"][:, :, 0, 0]
            bias = weights[f"layer.channel.{name}.bias"]
            pooled = (pooled.clamp(min=0) if name == "fc2" else pooled) @ matrix.T + bias
        return pooled

    _, c, h, w = x.shape
    scores = mlp(torch.einsum("nchw->nc", x) / (h * w)) + mlp(x.flatten(2).max(2).values)
    weighed = torch.einsum("nchw,nc->nchw", x, 1 / (1 + (-scores).exp()))
    kernel = weights["layer.spatial.conv.conv.weight"]
    pooled = torch.stack([weighed.sum(1) / c, weighed.max(1).values], 1)
    scores = functional.conv2d(pooled, kernel, padding=kernel.shape[-1] // 2)
    scores = batch_norm(weights, "layer.spatial.conv.bn", scores, training)
    return weighed / (1 + (-scores).exp())


@pytest.mark.parametrize("options", [{}, {"reduction": 4}, {"kernel": 3}])
def test_cbam_is_its_formula(options):
    check_formula(ConvBlockAttention(32, **options), formula, (2, 32, 8, 9))


def test_cbam_in_training_is_its_formula():
    module = ConvBlockAttention(32)
    check_formula(module, lambda w, x: formula(w, x, True), (2, 32, 8, 9), training=True)


def test_cbam_gives_the_numbers_of_the_official_code():
    check_recorded("cbam")


def test_cbam_has_the_published_size():
    count = attention_spec("cbam").params
    assert [count(c) for c in (64, 256)] == [2 * 64 * 4 + 68 + 100, 2 * 256 * 16 + 272 + 100]
    module = ConvBlockAttention(40, reduction=4, kernel=3)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == count(40, reduction=4, kernel=3)


def test_cbam_starts_as_the_official_network_does():
    layer = ConvBlockAttention(64).layer
    assert not any(fc.bias.any() for fc in (layer.channel.fc1, layer.channel.fc2))
    norm = layer.spatial.conv.bn
    assert norm.momentum == 0.01
    assert (norm.weight.item(), norm.bias.item()) == (0, 0)
    kernels = [ConvBlockAttention(1).layer.spatial.conv.conv.weight for _ in range(50)]
    assert abs(torch.stack(kernels).std() / (2 / 49) ** 0.5 - 1) < 0.05


@pytest.mark.parametrize(
    ("options", "text"),
    [({"kernel": 2}, "an odd kernel; got 2"), ({"reduction": 0}, "reduction >= 1; got 0")],
)
def test_cbam_names_wrong_options(options, text):
    with pytest.raises(ValueError, match=f"ConvBlockAttention expects {text}"):
        ConvBlockAttention(8, **options)


def test_cbam_learns_from_a_single_pixel_in_a_batch_alone():
    """Documented: its norm over positions needs two values."""
    module = ConvBlockAttention(4)
    module(torch.randn(2, 4, 1, 1)).sum().backward()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(torch.randn(1, 4, 1, 1))
    module(torch.randn(1, 4, 1, 2)).sum().backward()
    module.eval()(torch.randn(1, 4, 1, 1))

"""Mixed pooling against its formula, written out, and the authors' numbers."""

import pytest
import torch
from torch.nn import functional

from foveate.attention import MixedPooling, attention_spec
from recording import check_recorded, fill_
from support import assert_same


def layer(x, pair, training):
    """A convolution with zeros around and the norm after it."""
    conv, norm = pair[0], pair[1]
    tall, wide = (side // 2 for side in conv.weight.shape[2:])
    patches = functional.pad(x, (wide, wide, tall, tall)).unfold(2, 2 * tall + 1, 1)
    patches = patches.unfold(3, 2 * wide + 1, 1)
    out = torch.einsum("nchwij,ocij->nohw", patches, conv.weight)
    mean, var = norm.running_mean, norm.running_var
    if training:
        mean, var = out.mean((0, 2, 3)), out.var((0, 2, 3), correction=0)
    scale = norm.weight / (var + 1e-5) ** 0.5
    return (out - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def windows(inputs, outputs):
    """What adaptive pooling averages, as a matrix."""
    matrix = torch.zeros(outputs, inputs, dtype=torch.float64)
    for i in range(outputs):
        start, end = i * inputs // outputs, -(-(i + 1) * inputs // outputs)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def hats(inputs, outputs):
    """Linear interpolation with the ends on the ends, as a matrix."""
    step = (inputs - 1) / (outputs - 1) if outputs > 1 else 0.0
    at = step * torch.arange(outputs, dtype=torch.float64)
    distance = (at[:, None] - torch.arange(inputs, dtype=torch.float64)).abs()
    return (1 - distance).clamp_min(0)


def plain(module, x, training):
    height, width = x.shape[2:]
    left, right = (layer(x, pair, training).relu() for pair in (module.to_grids, module.to_strips))
    total = layer(left, module.full, training)
    for side, pair in zip(module.bins, module.grids, strict=True):
        shrink = windows(height, side), windows(width, side)
        grid = layer(torch.einsum("ih,nchw,jw->ncij", shrink[0], left, shrink[1]), pair, training)
        grow = hats(side, height), hats(side, width)
        total = total + torch.einsum("hi,ncij,wj->nchw", grow[0], grid, grow[1])
    left = layer(total.relu(), module.from_grids, training).relu()
    columns = layer(right.mean(2, keepdim=True), module.horizontal, training)
    rows = layer(right.mean(3, keepdim=True), module.vertical, training)
    right = layer((columns + rows).relu(), module.from_strips, training).relu()
    return (x + layer(torch.cat([left, right], 1), module.mix, training)).relu()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("bins", [None, (3, 2, 5), (1,)])
def test_mpm_is_its_formula(bins, training):
    module = MixedPooling(18) if bins is None else MixedPooling(18, bins)
    assert module.bins == (bins or (20, 12))
    module = fill_(module.double()).train(training)
    x = torch.randn(2, 18, 9, 6, dtype=torch.float64, requires_grad=True)
    want = plain(module, x, training)
    got = module(x)
    assert_same(got, want)
    leaves = [x, *module.parameters()]
    upstream = torch.randn_like(got)
    grads = [torch.autograd.grad(out, leaves, upstream) for out in (got, want)]
    for one, other in zip(*grads, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("bins", [(20, 12), (6,), (1, 2, 3)])
@pytest.mark.parametrize("channels", [1, 6, 64])
def test_the_parameters_are_counted(channels, bins):
    module = MixedPooling(channels, bins)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec("mpm").params(channels, bins=bins)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)])
def test_small_maps_learn_in_a_batch(size):
    module = MixedPooling(4)
    x = torch.randn(2, 4, *size, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.isfinite().all()
    # One value for each channel cannot be normalized, as the documentation says.
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(x[:1])


@pytest.mark.parametrize("bins", [(), 3, "20"])
def test_wrong_bins_are_named(bins):
    with pytest.raises(ValueError, match="MixedPooling expects bins as a sequence of sides; got"):
        MixedPooling(8, bins)


def test_wrong_sides_are_named():
    with pytest.raises(ValueError, match="side in bins >= 1; got 0"):
        MixedPooling(8, (20, 0))
    with pytest.raises(TypeError, match="an integer side in bins"):
        MixedPooling(8, (2.5,))


@pytest.mark.parametrize("file", ["mpm", "mpm_small"])
def test_mpm_gives_the_numbers_of_the_official_code(file):
    check_recorded("mpm", file)

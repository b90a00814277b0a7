"""Strip pooling against its formula, written out, and the authors' numbers."""

import pytest
import torch

from foveate.attention import StripPooling, attention_spec
from foveate.attention.where import parse_where
from recording import check_recorded, fill_
from support import assert_same


def along(strip, kernel, norm, training):
    """A kernel of three along (N, C, L), zeros beyond the ends, then the norm."""
    length = strip.shape[2]
    out = 0
    for tap in range(3):
        moved = torch.zeros_like(strip)
        for place in range(length):
            if 0 <= place + tap - 1 < length:
                moved[:, :, place] = strip[:, :, place + tap - 1]
        out = out + torch.einsum("oc,ncl->nol", kernel[:, :, tap], moved)
    mean, var = norm.running_mean, norm.running_var
    if training:
        mean, var = out.mean((0, 2)), out.var((0, 2), correction=0)
    scale = norm.weight / (var + 1e-5) ** 0.5
    return (out - mean[:, None]) * scale[:, None] + norm.bias[:, None]


def plain(module, x, training):
    rows, columns = x.sum(3) / x.shape[3], x.sum(2) / x.shape[2]
    rows = along(rows, module.vertical[0].weight[..., 0], module.vertical[1], training)
    kernel = module.horizontal[0].weight[:, :, 0]
    columns = along(columns, kernel, module.horizontal[1], training)
    crossed = (rows[:, :, :, None] + columns[:, :, None, :]).relu()
    mixed = torch.einsum("oc,nchw->nohw", module.mix.weight[:, :, 0, 0], crossed)
    return x * (mixed + module.mix.bias[:, None, None]).sigmoid()


@pytest.mark.parametrize("training", [False, True])
def test_spm_is_its_formula(training):
    module = fill_(StripPooling(6).double()).train(training)
    x = torch.randn(3, 6, 7, 4, dtype=torch.float64, requires_grad=True)
    want = plain(module, x, training)
    got = module(x)
    assert_same(got, want)
    leaves = [x, *module.parameters()]
    upstream = torch.randn_like(got)
    grads = [torch.autograd.grad(out, leaves, upstream) for out in (got, want)]
    for one, other in zip(*grads, strict=True):
        assert_same(one, other)
    if not training:
        assert_same(x * module.gate(x), want)


@pytest.mark.parametrize(
    ("channels", "count"), [(64, 28_992), (128, 115_328), (256, 460_032), (512, 1_837_568)]
)
def test_the_published_sizes(channels, count):
    assert attention_spec("spm").params(channels) == count


def test_it_sits_where_the_authors_put_it():
    parts = parse_where(attention_spec("spm").site)
    blocks = {1: 3, 2: 4, 3: 6, 4: 3}
    chosen = [
        (stage, block)
        for stage, depth in blocks.items()
        for block in range(1, depth + 1)
        if any(part.takes(stage, 4, block, depth) for part in parts)
    ]
    assert chosen == [(1, 3), (2, 4), (3, 6), (4, 1), (4, 2), (4, 3)]
    widths = {1: 64, 2: 128, 3: 256, 4: 512}
    added = sum(attention_spec("spm").params(widths[stage]) for stage, _ in chosen)
    assert 25_557_032 + added == 31_674_088


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1)])
def test_small_maps_learn_in_a_batch(size):
    module = StripPooling(4)
    x = torch.randn(2, 4, *size, requires_grad=True)
    module(x).sum().backward()
    assert x.grad.isfinite().all()
    # One value for each channel cannot be normalized, as the documentation says.
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(x[:1])


def test_spm_gives_the_numbers_of_the_official_code():
    check_recorded("spm")

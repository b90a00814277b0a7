"""Global-and-local attention against its formula, written out."""

import pytest
import torch
from torch.nn import functional

from foveate.attention import GlobalAndLocalAttention, attention_spec
from recording import fill_
from support import assert_same


def plain(module, x, squash, rectify, extra):
    def dense(layer, values, pattern):
        return torch.einsum(pattern, layer.weight[:, :, 0, 0], values)

    mean = x.sum((2, 3)) / (x.shape[2] * x.shape[3])
    first, _, last = module.channel
    hidden = (dense(first, mean, "dc,nc->nd") + first.bias).relu()
    what = dense(last, hidden, "dc,nc->nd") + last.bias
    what = what.relu() if rectify else what
    convs = [layer for layer in module.position if hasattr(layer, "weight")]
    assert len(convs) == 2 + extra
    where = (dense(convs[0], x, "dc,nchw->ndhw") + convs[0].bias[:, None, None]).relu()
    for conv in convs[1:-1]:
        assert conv.weight.shape[2:] == (5, 5)
        where = functional.conv2d(where, conv.weight, conv.bias, padding=2).relu()
    where = dense(convs[-1], where, "dc,nchw->ndhw") + convs[-1].bias
    what = what[:, :, None, None]
    both = module.additive * (what + where) + module.multiplicative * (what * where)
    return squash(both)


@pytest.mark.parametrize(
    ("options", "squash"),
    [
        ({"reduction": 3}, torch.tanh),
        ({"reduction": 5, "extra_convs": 2}, torch.tanh),
        ({"squash": "sigmoid", "rectify_global": True, "reduction": 4}, torch.sigmoid),
    ],
)
def test_gala_is_its_formula(options, squash):
    module = fill_(GlobalAndLocalAttention(20, **options).double())
    # Positive biases keep every ReLU alive somewhere.
    with torch.no_grad():
        module.channel[0].bias.abs_()
    x = torch.randn(3, 20, 7, 4, dtype=torch.float64, requires_grad=True)
    rectify, extra = options.get("rectify_global", False), options.get("extra_convs", 0)
    gate = plain(module, x, squash, rectify, extra)
    want, got = x * gate, module(x)
    assert_same(module.gate(x), gate)
    assert_same(got, want)
    leaves = [x, *module.parameters()]
    upstream = torch.randn_like(got)
    grads = [torch.autograd.grad(out, leaves, upstream) for out in (got, want)]
    for one, other in zip(*grads, strict=True):
        assert_same(one, other)


def test_the_published_size():
    params = attention_spec("gala").params
    sites = {256: 3, 512: 4, 1024: 6, 2048: 3}
    assert 25_557_032 + sum(n * params(c) for c, n in sites.items()) == 29_377_608
    # The released form where the released code puts it: the inputs of stage 3 of ResNet-50.
    released = {"reduction": 4, "squash": "sigmoid", "rectify_global": True}
    for extra, total in ((1, 38.31e6), (0, 29.71e6)):
        blocks = params(512, **released, extra_convs=extra)
        blocks += 5 * params(1024, **released, extra_convs=extra)
        assert 25_557_032 + blocks == pytest.approx(total, abs=0.005e6)


@pytest.mark.parametrize("channels", [1, 6, 40])
@pytest.mark.parametrize("extra", [0, 2])
def test_the_parameters_are_counted(channels, extra):
    module = GlobalAndLocalAttention(channels, reduction=4, extra_convs=extra)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec("gala").params(channels, reduction=4, extra_convs=extra)


def test_the_saliency_is_the_mean_square_of_unit_norm():
    module = fill_(GlobalAndLocalAttention(6).double())
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64, requires_grad=True)
    gate = plain(module, x, torch.tanh, False, 0)
    want = (gate**2).sum(1, keepdim=True) / 6
    want = want / (want**2).sum((2, 3), keepdim=True) ** 0.5
    got = module.saliency(x)
    assert got.shape == (3, 1, 5, 4)
    assert_same(got, want)
    assert_same(got.square().sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))
    # What a loss on it teaches: everything but x.
    clicks = torch.rand_like(got)
    learned = torch.autograd.grad((got - clicks).square().sum(), list(module.parameters()))
    assert all(grad.any() for grad in learned)
    with torch.autocast("cpu", torch.bfloat16):
        assert module.float().saliency(x.float()).dtype == torch.float32


def test_the_start_is_that_of_the_authors():
    module = GlobalAndLocalAttention(4096, reduction=64, extra_convs=1)
    for vector in (module.additive, module.multiplicative):
        assert vector.std().item() == pytest.approx(1.0, rel=0.05)
        assert vector.abs().max() < 2.28
    convs = [module.position[0], module.position[2]]
    assert [conv.weight[0].numel() for conv in convs] == [4096, 1600]
    for conv in convs:
        spread = conv.weight[0].numel() ** -0.5
        assert conv.weight.std().item() == pytest.approx(spread, rel=0.05)
    bound = (6 / (4096 + 64)) ** 0.5
    for layer in (module.channel[0], module.channel[2]):
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert not any(w.any() for name, w in module.named_parameters() if name.endswith("bias"))


def test_the_squash_bounds_the_gate():
    x = 50 * torch.randn(2, 6, 5, 4)
    assert GlobalAndLocalAttention(6).gate(x).min() < 0
    assert GlobalAndLocalAttention(6, squash="sigmoid").gate(x).min() >= 0


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match=r"a known squash; got 'tan'.*'tanh'"):
        GlobalAndLocalAttention(8, squash="tan")
    with pytest.raises(ValueError, match="extra_convs >= 0; got -1"):
        GlobalAndLocalAttention(8, extra_convs=-1)
    with pytest.raises(ValueError, match="reduction >= 1; got 0"):
        GlobalAndLocalAttention(8, reduction=0)

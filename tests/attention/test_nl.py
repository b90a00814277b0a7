"""The non-local block beside its formula, and its options."""

import pytest
import torch
from formulas import batch_norm, check_formula
from pointwise import conv1x1
from torch.nn import functional

import foveate
from foveate.attention import NonLocal, attention_spec
from support import assert_same


def written(mode, pool, training):
    def formula(weights, x):
        n, _, h, w = x.shape
        seen = functional.max_pool2d(x, 2, 2) if pool else x
        count = seen.shape[2] * seen.shape[3]
        if mode == "gaussian":
            likeness = torch.einsum("nchw,ncuv->nhwuv", x, seen)
        else:
            theta, phi = conv1x1(weights, "theta", x), conv1x1(weights, "phi", seen)
            likeness = torch.einsum("nchw,ncuv->nhwuv", theta, phi)
        likeness = likeness.reshape(n, h, w, count)
        if mode == "dot":
            shares = likeness / count
        else:
            likeness = likeness / theta.shape[1] ** 0.5 if mode == "embedded" else likeness
            shares = likeness.exp() / likeness.exp().sum(3, keepdim=True)
        values = conv1x1(weights, "g", seen).flatten(2)
        attended = torch.einsum("nhwk,ndk->ndhw", shares, values)
        return x + batch_norm(weights, "norm", conv1x1(weights, "out", attended), training)

    return formula


# A bias of all keys alike drops out of the softmax; the batch's own norm takes out more of them.
@pytest.mark.parametrize("pool", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_nl_is_its_formula(pool, training):
    module = NonLocal(6, pool=pool, bias=not training)
    vanishing = [] if training else ["phi.bias"]
    check_formula(module, written("embedded", pool, training), (2, 6, 7, 5), training, vanishing)


@pytest.mark.parametrize("mode", ["dot", "gaussian"])
@pytest.mark.parametrize("bias", [True, False])
def test_other_forms_are_their_formulas(mode, bias):
    module = NonLocal(6, reduction=3, mode=mode, bias=bias)
    check_formula(module, written(mode, True, False), (2, 6, 5, 7))


def test_a_convolution_starts_narrow_and_the_norm_at_zero():
    module = NonLocal(64)
    for layer in (module.theta, module.phi, module.g, module.out):
        assert 0.009 < layer.weight.std() < 0.011
        assert not layer.bias.any()
    assert not module.norm.weight.any()
    x = torch.randn(2, 64, 5, 4)
    assert torch.equal(module(x), x)  # in training too


@pytest.mark.parametrize(
    ("options", "layers"),
    [
        ({}, 3 * (512 * 256 + 256) + 256 * 512 + 512 + 1024),
        ({"bias": False, "reduction": 4}, 4 * 512 * 128 + 1024),
        ({"mode": "gaussian"}, 512 * 256 + 256 + 256 * 512 + 512 + 1024),
        ({"mode": "dot", "pool": False}, 526_592),
    ],
)
def test_parameters_follow_the_options(options, layers):
    with torch.device("meta"):
        module = foveate.create_attention("non_local", 512, **options)
    assert sum(weight.numel() for weight in module.parameters()) == layers
    assert attention_spec("nl").params(512, **options) == layers


def test_published_sizes():
    params = attention_spec("nl").params
    assert (params(512), params(1024)) == (526_592, 2_101_760)
    # ResNet-50 with one block in its third stage, and with two and three in the second and third.
    assert 25_557_032 + params(1024) == 27_658_792
    assert 25_557_032 + 2 * params(512) + 3 * params(1024) == 32_915_496


def test_one_row_needs_no_pool():
    assert NonLocal(4, pool=False)(torch.rand(2, 4, 1, 9)).shape == (2, 4, 1, 9)
    with pytest.raises(ValueError, match=r"NonLocal expects .*at least 2x2 pixels; got 1x9"):
        NonLocal(4)(torch.rand(2, 4, 1, 9))


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="reduction >= 1; got 0"):
        NonLocal(8, reduction=0)
    with pytest.raises(ValueError, match="known mode; got 'gausian'; did you mean 'gaussian'"):
        NonLocal(8, mode="gausian")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_likenesses_do_not_overflow_in_half_precision(dtype):
    # 6 products of 200 * 200 are beyond float16; the softmax picks the likest position alone.
    module = NonLocal(6, pool=False, mode="gaussian").eval()
    torch.nn.init.normal_(module.g.weight)
    torch.nn.init.normal_(module.out.weight)
    torch.nn.init.ones_(module.norm.weight)
    x = 200 * (torch.arange(6 * 4).reshape(1, 6, 2, 2) % 5 - 2.0).sign()
    assert_same(module.to(dtype)(x.to(dtype)).float(), module.float()(x), limit=2e-2)


@pytest.mark.parametrize("mode", ["embedded", "dot", "gaussian"])
def test_it_is_traced_symbolically(mode):
    module = NonLocal(6, mode=mode).eval()
    torch.nn.init.ones_(module.norm.weight)
    x = torch.randn(2, 6, 7, 5)
    assert_same(torch.fx.symbolic_trace(module)(x), module(x))

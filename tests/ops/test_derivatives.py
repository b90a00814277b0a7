"""Derivatives beyond the first, transforms, and what an operator must leave to its gather form."""

import pytest
import torch
from operator_cases import convolve, leaf_gradients, make, make_gate
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from foveate.ops import deform_gate, gate_epilogue, instance_norm
from foveate.ops.separable import separable_conv2d
from support import assert_same


def channels_last(*shape):
    return torch.randn(*shape, dtype=torch.float64).contiguous(memory_format=torch.channels_last)


def off_the_kinks(tensors):
    """Offsets between the integers, where the function has a derivative."""
    offset = tensors["offset"]
    return {**tensors, "offset": offset.floor() + 0.2 + 0.6 * torch.rand_like(offset)}


def small_gate(**options):
    return off_the_kinks(make_gate((2, 3, 2, 3), squeezed=2, kernel=(1, 3), **options))


def small_epilogue(without=()):
    found = small_gate()
    tensors = {name: found[name] for name in ("x", "ln_weight", "ln_bias")}
    tensors = {name: one for name, one in tensors.items() if name not in without}
    return {**tensors, "mixed": found["x"].flip(0) + 0.5}


def small_convolution():
    tensors, sizes = make((2, 2, 3, 3, 2, (2, 1), 2, 1, 1, 0, 1))
    return lambda **t: convolve("torch", **t, **sizes), off_the_kinks(tensors)


def torch_gate(**tensors):
    return deform_gate(**tensors, eps=0.1, backend="torch")


def torch_epilogue(**tensors):
    return gate_epilogue(**tensors, backend="torch")


AFFINE = ("ln_weight", "ln_bias")
CALLS = {
    "convolution": small_convolution,
    "gate": lambda: (torch_gate, small_gate()),
    "gate, nothing optional": lambda: (torch_gate, small_gate(without=("bias", "mask", *AFFINE))),
    "gate, no shift": lambda: (torch_gate, small_gate(without=("bias", "ln_bias"))),
    "tail": lambda: (torch_epilogue, small_epilogue()),
    "tail, no scale": lambda: (torch_epilogue, small_epilogue(("ln_weight",))),
    "norm": lambda: (instance_norm, {"x": channels_last(2, 3, 2, 3)}),
    "separable": lambda: (
        separable_conv2d,
        {
            "x": channels_last(2, 3, 2, 3),
            "depthwise": torch.randn(3, 1, 3, 3, dtype=torch.float64),
            "pointwise": torch.randn(2, 3, 1, 1, dtype=torch.float64),
        },
    ),
}
calls = pytest.mark.parametrize("name", CALLS)


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch):
    """Let the separable convolution take its own operator for small maps too."""
    monkeypatch.setattr("foveate.ops.separable._KEPT_BYTES", 0)


def positional(name):
    run, tensors = CALLS[name]()
    names = list(tensors)
    leaves = tuple(one.detach().requires_grad_() for one in tensors.values())
    return lambda *given: run(**dict(zip(names, given, strict=True))), leaves


@calls
def test_first_derivatives_are_right(name):
    run, leaves = positional(name)
    assert gradcheck(run, leaves)
    assert gradcheck(run, leaves, check_forward_ad=True, check_backward_ad=False)
    assert gradcheck(run, leaves, check_batched_grad=True, fast_mode=True)


@calls
def test_second_derivatives_are_right(name):
    run, leaves = positional(name)
    assert gradgradcheck(run, leaves)


@calls
def test_each_argument_alone_has_its_derivative(name):
    """No derivative may hang on another argument's being wanted too."""
    run, tensors = CALLS[name]()
    _, want = leaf_gradients(run, tensors)
    for alone in tensors:
        _, got = leaf_gradients(
            lambda a=alone, **t: run(**{**tensors, **t}), {alone: tensors[alone]}
        )
        torch.testing.assert_close(got[alone], want[alone], rtol=1e-12, atol=1e-12)


@calls
def test_gradients_that_can_be_differentiated_are_the_same(name):
    run, leaves = positional(name)
    out = run(*leaves)
    upstream = torch.randn_like(out)
    plain = torch.autograd.grad(out, leaves, upstream, retain_graph=True)
    again = torch.autograd.grad(out, leaves, upstream, create_graph=True)
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["convolution"])
def test_double_backward_is_the_gather_form_s(name):
    tensors, sizes = make("odd")

    def second(form):
        leaves = {key: one.clone().requires_grad_() for key, one in tensors.items()}
        out = convolve(form, **leaves, **sizes)
        upstream = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
        first = torch.autograd.grad(out, list(leaves.values()), upstream, create_graph=True)
        return torch.autograd.grad(
            sum(one.square().sum() for one in first), list(leaves.values()), allow_unused=True
        )

    for got, want in zip(second("torch"), second("gather"), strict=True):
        assert (got is None) == (want is None)
        if got is not None:
            assert_same(got, want)


def test_an_argument_that_depends_on_another_is_differentiated_once():
    """As in the gate, where the offsets come from the map that is sampled."""
    tensors, sizes = make((1, 2, 3, 3, 2, (1, 1), 1, 1, 1, 0, 1), mask=False, bias=False)

    def run(x):
        offset = 0.3 + 0.2 * torch.tanh(x)
        return convolve("torch", x, offset, tensors["weight"], **sizes)

    leaf = tensors["input"].clone().requires_grad_()
    assert gradcheck(run, (leaf,))
    assert gradgradcheck(run, (leaf,))


@calls
def test_forward_mode_agrees_with_backward_mode(name):
    run, leaves = positional(name)
    tangents = [torch.randn_like(one) for one in leaves]
    out = run(*leaves)
    upstream = torch.randn_like(out)
    grads = torch.autograd.grad(out, leaves, upstream)
    want = sum((grad * one).sum() for grad, one in zip(grads, tangents, strict=True))
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(o.detach(), t) for o, t in zip(leaves, tangents, strict=True)]
        tangent = forward_ad.unpack_dual(run(*duals)).tangent
    assert_same((tangent * upstream).sum(), want)
    _, moved = torch.func.jvp(run, tuple(o.detach() for o in leaves), tuple(tangents))
    assert_same(moved, tangent)


@calls
def test_vmap_over_calls_and_over_gradients_is_a_loop(name):
    run, leaves = positional(name)
    many = [torch.stack([one.detach(), one.detach().flip(0) + 0.01]) for one in leaves]
    loop = [run(*(one[i] for one in many)) for i in (0, 1)]
    assert_same(torch.func.vmap(run)(*many), torch.stack(loop))

    def loss(*given):
        return run(*given).square().sum()

    every = tuple(range(len(many)))
    grad = torch.func.grad(loss, argnums=every)
    got = torch.func.vmap(grad)(*many)
    want = [grad(*(one[i] for one in many)) for i in (0, 1)]
    for place in every:
        assert_same(got[place], torch.stack([one[place] for one in want]))
    # What torch.func returns is what autograd does.
    fresh = [one[0].clone().requires_grad_() for one in many]
    for one, grads in zip(torch.autograd.grad(loss(*fresh), fresh), want[0], strict=True):
        assert_same(one, grads)


@calls
def test_many_upstream_gradients_at_once_are_a_loop(name):
    run, leaves = positional(name)
    out = run(*leaves)
    upstream = torch.randn(3, *out.shape, dtype=out.dtype)
    got = torch.autograd.grad(out, leaves, upstream, is_grads_batched=True, retain_graph=True)
    want = [torch.autograd.grad(out, leaves, one, retain_graph=True) for one in upstream]
    for place, one in enumerate(got):
        assert_same(one, torch.stack([each[place] for each in want]))


@pytest.mark.parametrize("outer", ["jacrev", "jacfwd"])
@pytest.mark.parametrize("inner", ["jacrev", "jacfwd"])
def test_hessians_agree_whatever_the_modes(outer, inner):
    run, tensors = small_convolution()
    fixed = {name: one for name, one in tensors.items() if name != "offset"}

    def loss(offset):
        return run(offset=offset, **fixed).square().sum()

    got = getattr(torch.func, outer)(getattr(torch.func, inner)(loss))(tensors["offset"])
    want = torch.autograd.functional.hessian(loss, tensors["offset"])
    assert_same(got, want)

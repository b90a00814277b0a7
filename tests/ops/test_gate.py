"""The gate and its tail: literals, the reference in float64, layouts, dtypes, errors."""

import itertools
import math

import pytest
import torch
from operator_cases import leaf_gradients, make_gate

from foveate.ops import deform_gate, gate_epilogue
from support import assert_same

BACKENDS = ("reference", "torch")
backends = pytest.mark.parametrize("backend", BACKENDS)
OPTIONAL = ("bias", "mask", "ln_weight", "ln_bias")
SOME = [some for count in range(5) for some in itertools.combinations(OPTIONAL, count)]


def gate(backend):
    return lambda **tensors: deform_gate(**tensors, backend=backend)


def epilogue(backend):
    return lambda **tensors: gate_epilogue(**tensors, backend=backend)


def make_epilogue(size=(2, 6, 4, 5), without=(), dtype=torch.float64):
    found = make_gate(size, dtype=dtype)
    found = {"mixed": found["x"].flip(0) * 2 + 0.3, **found}
    return {
        name: found[name] for name in ("x", "mixed", "ln_weight", "ln_bias") if name not in without
    }


def assert_runs(got, want):
    assert_same(got[0], want[0])
    assert list(got[1]) == list(want[1])
    for name, grad in want[1].items():
        assert_same(got[1][name], grad, name)


@backends
def test_nothing_mixed_gives_the_sigmoid_of_the_shift(backend):
    x, weight = torch.randn(2, 3, 4, 5), torch.zeros(3, 2, 3, 3)
    shift = torch.tensor([0.0, math.log(3), -math.log(3)])
    offset = torch.zeros(2, 18, 4, 5)
    gated = deform_gate(x, torch.randn(2, 2, 4, 5), offset, weight, ln_bias=shift, backend=backend)
    want = x * torch.tensor([0.5, 0.75, 0.25]).view(3, 1, 1)
    torch.testing.assert_close(gated, want)
    mixed = torch.full_like(x, 7.0)  # equal in all channels: its norm is zero
    torch.testing.assert_close(gate_epilogue(x, mixed, None, shift, backend=backend), want)


@backends
def test_two_channels_are_normalized_to_plus_and_minus_one(backend):
    x = torch.tensor([10.0, 100.0]).view(1, 2, 1, 1)
    mixed = torch.tensor([5.0, 1.0]).view(1, 2, 1, 1)  # mean 3, variance 4
    plus = 1 / (1 + math.exp(-1.0))
    got = gate_epilogue(x, mixed, eps=0.0, backend=backend)
    torch.testing.assert_close(got.flatten(), torch.tensor([10 * plus, 100 * (1 - plus)]))
    scale, shift = torch.tensor([math.log(3), 2.0]), torch.tensor([0.0, 2.0])
    got = gate_epilogue(x, mixed, scale, shift, eps=0.0, backend=backend)
    torch.testing.assert_close(got.flatten(), torch.tensor([7.5, 50.0]))


@backends
def test_offsets_move_what_the_gate_reads(backend):
    # A kernel of one tap and weights +1, -1: the sign of the pixel read decides.
    squeezed = torch.tensor([[[[3.0, -3.0, 3.0]]]])
    weight = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    x, offset = torch.ones(1, 2, 1, 3), torch.zeros(1, 2, 1, 3)
    high, low = 1 / (1 + math.exp(-1.0)), 1 / (1 + math.exp(1.0))
    got = deform_gate(x, squeezed, offset, weight, eps=0.0, backend=backend)
    torch.testing.assert_close(got[0, 0, 0], torch.tensor([high, low, high]))
    offset[0, 1] = 1.0
    got = deform_gate(x, squeezed, offset, weight, eps=1e-9, backend=backend)
    torch.testing.assert_close(got[0, 0, 0], torch.tensor([low, high, 0.5]))  # the last is outside


@pytest.mark.parametrize("without", SOME, ids=lambda some: ",".join(some) or "all there")
def test_result_and_gradients_equal_the_reference(without):
    tensors = make_gate(without=without)
    assert_runs(*(leaf_gradients(gate(name), tensors) for name in ("torch", "reference")))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": (1, 1)},
        {"kernel": (5, 5)},
        {"kernel": (3, 5)},
        {"groups": 2, "squeezed": 8},
        {"groups": 4, "squeezed": 4, "size": (2, 8, 5, 6)},
        {"offset_groups": 2},
        {"groups": 2, "offset_groups": 4},
        {"size": (1, 6, 1, 1)},
        {"size": (3, 6, 1, 7)},
        {"size": (3, 1, 4, 4)},
        {"size": (1, 70, 33, 2)},
    ],
    ids=str,
)
def test_every_kernel_and_grouping_equals_the_reference(options):
    tensors = make_gate(**options)
    if tensors["x"].shape[1] == 1:  # normalized over one channel nothing is left but the shift
        got, want = (gate(name)(**tensors) for name in ("torch", "reference"))
        assert_same(got, want)
        return
    assert_runs(*(leaf_gradients(gate(name), tensors) for name in ("torch", "reference")))


@pytest.mark.parametrize("without", [(), ("ln_weight",), ("ln_bias",), ("ln_weight", "ln_bias")])
def test_the_tail_alone_equals_the_reference(without):
    tensors = make_epilogue(without=without)
    assert_runs(*(leaf_gradients(epilogue(name), tensors) for name in ("torch", "reference")))


@backends
def test_no_output_is_left_unwritten(backend, poisoned_memory):
    for run, tensors in ((gate, make_gate()), (epilogue, make_epilogue())):
        assert_runs(
            leaf_gradients(run(backend), tensors), leaf_gradients(run("reference"), tensors)
        )


@backends
def test_an_empty_batch_has_an_empty_result_and_zero_gradients(backend):
    for run, tensors in (
        (gate, make_gate((0, 6, 4, 5))),
        (epilogue, make_epilogue((0, 6, 4, 5))),
    ):
        out, grads = leaf_gradients(run(backend), tensors)
        assert out.shape == (0, 6, 4, 5)
        assert {name: one.shape for name, one in grads.items()} == {
            name: one.shape for name, one in tensors.items()
        }
        assert not any(one.any() for one in grads.values())
        pointers = [one.data_ptr() for one in grads.values() if one.numel()]
        assert len(set(pointers)) == len(pointers)  # two parameters must not share a gradient


@backends
def test_a_nan_offset_spoils_its_own_pixel_only(backend):
    tensors = make_gate()
    clean = gate(backend)(**tensors)
    tensors["offset"][0, 4, 2, 3] = math.nan
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    out = gate(backend)(**leaves)
    bad = torch.zeros(out.shape, dtype=torch.bool)
    bad[0, :, 2, 3] = True
    assert out[bad].isnan().all()
    assert torch.equal(out[~bad], clean[~bad])
    out.where(~bad, 0.0).square().sum().backward()
    # The norm hands the NaN to all that the spoilt pixel read, and to nothing else.
    assert leaves["squeezed"].grad[1].isfinite().all()
    for name in ("x", "mask", "offset"):
        others = torch.ones_like(tensors[name], dtype=torch.bool)
        others[0, :, 2, 3] = False
        assert leaves[name].grad[others].isfinite().all(), name
    read = leaves["squeezed"].grad[0].isfinite().all(0)
    assert read.sum() >= read.numel() - 4 * 8  # eight taps of four pixels


@backends
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_a_float32_map_is_gated_by_a_low_convolution(backend, low):
    wide = make_gate(dtype=torch.float32)
    tensors = {
        name: one.to(low) if name in ("squeezed", "weight", "bias") else one
        for name, one in wide.items()
    }
    got = leaf_gradients(gate(backend), tensors)
    want = leaf_gradients(gate("reference"), {k: v.double() for k, v in tensors.items()})
    assert got[0].dtype == torch.float32
    assert_same(got[0].to(low), want[0].to(low))
    for name, one in tensors.items():
        assert got[1][name].dtype == one.dtype
        assert_same(got[1][name].to(low), want[1][name].to(low), name)


@backends
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_cpu_autocast_lowers_the_convolution_and_leaves_the_rest(backend, low):
    leaves = {k: v.requires_grad_() for k, v in make_gate(dtype=torch.float32).items()}
    with torch.autocast("cpu", low):
        out = gate(backend)(**leaves)
        low_map = {**leaves, "x": leaves["x"].to(low)}
        assert gate(backend)(**low_map).dtype == low
        assert gate_epilogue(leaves["x"], leaves["x"], backend=backend).dtype == torch.float32
    assert out.dtype == torch.float32
    want = gate("reference")(**{k: v.detach().double() for k, v in leaves.items()})
    assert_same(out.to(low), want.to(low))
    out.square().sum().backward()
    assert all(leaf.grad.dtype == torch.float32 for leaf in leaves.values())


@backends
def test_float64_is_left_alone_by_autocast(backend):
    tensors = make_gate()
    want = gate("reference")(**tensors)
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(gate(backend)(**tensors), want)


F32 = {"dtype": torch.float32}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"x": torch.zeros(2, 6, 7, 5)},
            ValueError,
            r"x of shape \(2, 6, 7, 6\); got \(2, 6, 7, 5\)",
        ),
        ({"x": torch.zeros(2, 5, 7, 6)}, ValueError, r"x of shape \(2, 6, 7, 6\)"),
        ({"x": torch.zeros(2, 6, 7, 6).double()}, TypeError, "x of dtype torch.float32"),
        ({"x": torch.zeros(2, 6, 7, 6).bfloat16()}, TypeError, "x of dtype torch.float32"),
        ({"ln_weight": torch.zeros(5)}, ValueError, r"ln_weight of shape \(6,\)"),
        ({"ln_bias": torch.zeros(6, 1)}, ValueError, r"ln_bias of shape \(6,\); got \(6, 1\)"),
        ({"ln_bias": torch.zeros(6).double()}, TypeError, "ln_bias of dtype torch.float32"),
        ({"squeezed": torch.zeros(4, 7, 6)}, ValueError, "input of rank 4"),
        ({"offset": torch.zeros(2, 18, 7, 5)}, ValueError, "offset of shape"),
        ({"mask": torch.zeros(2, 18, 7, 6)}, ValueError, "mask of shape"),
        ({"weight": torch.zeros(6, 4, 3)}, ValueError, "weight of rank 4"),
        ({"weight": torch.zeros(6, 3, 3, 3)}, ValueError, "weight"),
        ({"weight": None}, TypeError, "a tensor weight; got NoneType"),
        ({"backend": "tritn"}, ValueError, "known backend"),
    ],
)
def test_bad_arguments_of_the_gate_are_named(change, error, text):
    with pytest.raises(error, match=text):
        deform_gate(**{**make_gate(**F32), **change})


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"x": torch.zeros(2, 6, 4, 4)}, ValueError, r"one shape .*; got \(2, 6, 4, 4\) and"),
        ({"x": torch.zeros(6, 4), "mixed": torch.zeros(6, 4)}, ValueError, "one shape"),
        ({"x": torch.zeros(2, 6, 4, 5).half()}, TypeError, "x of dtype torch.float32"),
        ({"ln_weight": torch.zeros(4)}, ValueError, r"ln_weight of shape \(6,\)"),
        (dict.fromkeys(("x", "mixed"), torch.zeros(2, 6, 4, 5).long()), TypeError, "float"),
        ({"backend": "numba"}, ValueError, "known backend"),
    ],
)
def test_bad_arguments_of_the_tail_are_named(change, error, text):
    with pytest.raises(error, match=f"gate_epilogue expects .*{text}"):
        gate_epilogue(**{**make_epilogue(**F32), **change})

"""The kernels of the gate against the reference, on a GPU or interpreted."""

import math

import pytest
import torch
from torch.autograd import forward_ad
from triton_support import DEVICE, check, only_where_kernels_run

from foveate.ops.deform.arguments import geometry_of
from foveate.ops.gate import reference
from foveate.ops.gate.triton import compute, deform_gate, gate_epilogue, operators, why_not
from support import assert_same, gradients_of

only_where_kernels_run()

EPS = 1e-5
# name: (N, C, r, H, W); blocks of 128 pixels of the one kernel, of 4096 numbers of the other
CASES = {
    "small": (2, 16, 3, 3, 4),
    "wide": (1, 200, 12, 3, 5),
    "whole": (1, 256, 51, 2, 3),
    "split": (1, 300, 4, 2, 2),
    "rows": (3, 64, 4, 5, 9),
    "one pixel": (6, 16, 4, 1, 1),
}


def make(case, dtype=torch.float32, every=True, wide=None):
    n, c, r, h, w = CASES[case]
    g = torch.Generator().manual_seed(3)
    wide = dtype if wide is None else wide

    def draw(*shape, to=dtype):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(DEVICE, to)

    return {
        "x": draw(n, c, h, w, to=wide),
        "squeezed": draw(n, r, h, w),
        "offset": draw(n, 18, h, w, to=wide) * 1.5 + 0.13,
        "weight": draw(c, r, 3, 3),
        "bias": draw(c) if every else None,
        "mask": draw(n, 9, h, w, to=wide).sigmoid() if every else None,
        "ln_weight": draw(c, to=wide) if every else None,
        "ln_bias": draw(c, to=wide) if every else None,
    }


def make_epilogue(case, dtype=torch.float32, every=True, wide=None):
    tensors = make(case, dtype, every, wide)
    mixed = torch.randn(tensors["x"].shape, dtype=torch.float64).to(DEVICE, dtype)
    return {"x": tensors["x"], "mixed": mixed, **{k: tensors[k] for k in ("ln_weight", "ln_bias")}}


def gated(function):
    def run(x, squeezed, offset, weight, bias=None, mask=None, ln_weight=None, ln_bias=None):
        geometry = geometry_of(squeezed, offset, weight, bias, 1, 1, 1, mask)
        return function(x, squeezed, offset, weight, bias, mask, ln_weight, ln_bias, EPS, geometry)

    return run


def tailed(function):
    def run(x, mixed, ln_weight=None, ln_bias=None):
        return function(x, mixed, ln_weight, ln_bias, EPS)

    return run


def compare(tensors):
    forms = (deform_gate, reference.differentiable_gate, reference.deform_gate)
    check(*(gated(one) for one in forms), tensors)


def compare_epilogue(tensors):
    forms = (gate_epilogue, reference.gate_epilogue, reference.gate_epilogue)
    check(*(tailed(one) for one in forms), tensors)


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_the_tail_and_its_gradients_equal_the_reference(case, every):
    compare_epilogue(make_epilogue(case, every=every))


@pytest.mark.parametrize("case", CASES)
def test_the_gate_and_its_gradients_equal_the_reference(case, scheme):
    compare(make(case, every=case not in ("split", "one pixel")))


@pytest.mark.parametrize("wide", [None, torch.float32])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_right_as_the_gather_form(dtype, wide, scheme):
    # Float32 beside half precision is what autocast makes.
    compare(make("small", dtype, wide=wide))
    compare_epilogue(make_epilogue("wide", dtype, wide=wide))


def test_scale_and_shift_come_alone():
    for absent in ("ln_weight", "ln_bias"):
        compare_epilogue({**make_epilogue("small"), absent: None})


def test_training_and_inference_give_the_same_numbers(scheme):
    tensors = make("wide")
    with torch.no_grad():
        want = gated(deform_gate)(**tensors)
    assert_same(gradients_of(gated(deform_gate), tensors)[0], want)


def test_the_maps_deviation_is_taken_around_its_mean():
    # The mean of squares less the squared mean would lose every digit here.
    tensors = make_epilogue("rows")
    tensors["mixed"] = tensors["mixed"] + 3000
    compare_epilogue(tensors)


def test_no_output_is_left_unwritten(poisoned_memory, scheme):
    compare(make("small"))
    compare_epilogue(make_epilogue("one pixel"))


def test_an_empty_batch_gives_an_empty_result(scheme):
    tensors = make("small")
    of_images = ("x", "squeezed", "offset", "mask")
    empty = {k: v[:0] if k in of_images else v for k, v in tensors.items()}
    out, grads = gradients_of(gated(deform_gate), empty)
    assert out.shape == empty["x"].shape
    assert not grads["ln_weight"].any() and not grads["weight"].any()


def test_memory_layout_does_not_change_values_and_follows_x(scheme):
    tensors = make("small")
    want, want_grads = gradients_of(gated(deform_gate), tensors)
    assert want.is_contiguous()
    last = {
        k: v.contiguous(memory_format=torch.channels_last) if v.dim() == 4 else v
        for k, v in tensors.items()
    }
    got, got_grads = gradients_of(gated(deform_gate), last)
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert_same(got, want)
    for name, grad in want_grads.items():
        assert_same(got_grads[name], grad, name)
    turned = {**tensors, "x": tensors["x"].transpose(2, 3).contiguous().transpose(2, 3)}
    assert_same(gated(deform_gate)(**turned), want)


def test_a_nan_offset_spoils_its_own_pixel_only(scheme):
    tensors = make("small")
    clean = gated(deform_gate)(**tensors)
    tensors["offset"][0, 4, 1, 2] = math.nan
    out = gated(deform_gate)(**tensors)
    bad = torch.zeros(out.shape, dtype=torch.bool, device=DEVICE)
    bad[0, :, 1, 2] = True
    assert out[bad].isnan().all()
    assert torch.equal(out[~bad], clean[~bad])


def test_two_runs_agree_to_the_bit_where_nothing_is_scattered():
    tensors = make_epilogue("rows")
    first, again = (gradients_of(tailed(gate_epilogue), tensors) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(first[1][name], again[1][name]) for name in first[1])


def test_programs_that_walk_over_many_blocks_sum_all_of_them(monkeypatch):
    monkeypatch.setattr(compute, "_PROGRAMS", 2)
    compare_epilogue(make_epilogue("rows"))


def test_second_derivatives_are_those_of_the_gather_form(scheme):
    tensors = {name: value for name, value in make("one pixel").items()}
    found = []
    for form in (deform_gate, reference.differentiable_gate):
        leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
        out = gated(form)(**leaves)
        first = torch.autograd.grad(out.square().sum(), list(leaves.values()), create_graph=True)
        total = sum((one * one).sum() for one in first)
        found.append(torch.autograd.grad(total, list(leaves.values())))
    for got, want in zip(*found, strict=True):
        assert_same(got, want, limit=1e-4)


def test_forward_mode_takes_the_differentiable_form():
    tensors = make("small")
    tangent = torch.randn_like(tensors["x"])
    found = []
    for form in (deform_gate, reference.differentiable_gate):
        with forward_ad.dual_level():
            dual = {**tensors, "x": forward_ad.make_dual(tensors["x"], tangent)}
            found.append(forward_ad.unpack_dual(gated(form)(**dual)).tangent)
    assert_same(*found)


def test_the_operators_keep_their_promises():
    tensors = [value.requires_grad_() for value in make("one pixel").values()]
    promises = ("test_schema", "test_autograd_registration", "test_faketensor")
    geometry = geometry_of(*tensors[1:5], 1, 1, 1, tensors[5])
    for keep in (True, False):
        arguments = (*tensors, EPS, geometry.sizes, keep)
        # Without the kept map there is nothing to differentiate, and nothing that would be asked.
        utils = promises if keep else promises[::2]
        torch.library.opcheck(operators.deform_gate, arguments, test_utils=utils)
    tail = [value.requires_grad_() for value in make_epilogue("small").values()]
    torch.library.opcheck(operators.gate_epilogue, (*tail, EPS), test_utils=promises)
    tail = [value.detach() for value in tail]
    grad = torch.randn_like(tail[0])
    for affine in (tail[2:], [None, None]):
        arguments = (grad, *tail[:2], *affine, EPS)
        torch.library.opcheck(operators.gate_epilogue_backward, arguments, test_utils=promises[::2])


class Net(torch.nn.Module):
    def forward(self, **tensors):
        return gated(deform_gate)(**tensors) + 1


def test_a_graph_holds_the_operator(scheme):
    tensors = make("small")
    want = Net()(**tensors)
    compiled = torch.compile(Net(), fullgraph=True, backend="eager")
    assert torch.equal(compiled(**tensors), want)
    exported = torch.export.export(Net(), (), kwargs=tensors)
    targets = " ".join(str(node.target) for node in exported.graph.nodes)
    assert ("deform_gate_triton" in targets) == (scheme == "implicit")
    assert torch.equal(exported.module()(**tensors), want)


def test_too_many_channels_are_a_reason():
    assert why_not(torch.zeros(1, 2, 1, 1, device=DEVICE)) == []
    assert "16384" in why_not(torch.zeros(1, 16385, 1, 1, device=DEVICE))[0]


@pytest.mark.parametrize("mutant", ["zero", "drop", "mean", "order"])
def test_the_comparison_has_teeth(monkeypatch, mutant):
    real, backward = compute.epilogue, compute.epilogue_backward
    if mutant == "zero":
        monkeypatch.setattr(compute, "epilogue", lambda *a: real(*a) * 0)
    elif mutant == "mean":
        monkeypatch.setattr(compute, "epilogue", lambda x, m, *a: real(x, m[:, :1] + 0 * m, *a))
    elif mutant == "order":
        monkeypatch.setattr(compute, "epilogue", lambda x, m, w, b, e: real(x, m, b, w, e))
    else:
        dropped = lambda *a: (*backward(*a)[:3], torch.zeros_like(a[4]))  # noqa: E731
        monkeypatch.setattr(compute, "epilogue_backward", dropped)
    with pytest.raises(AssertionError):
        compare_epilogue(make_epilogue("small"))


@pytest.mark.gpu
def test_compile_and_ahead_of_time_give_the_same_numbers(scheme, tmp_path):
    tensors = make("wide", torch.bfloat16, wide=torch.float32)
    want, want_grads = gradients_of(Net(), tensors)
    got, got_grads = gradients_of(torch.compile(Net(), fullgraph=True), tensors)
    assert_same(got, want)
    for name, grad in want_grads.items():
        assert_same(got_grads[name], grad, name, limit=torch.finfo(torch.bfloat16).eps * 4)
    with torch.no_grad():
        exported = torch.export.export(Net(), (), kwargs=tensors)
    package = torch._inductor.aoti_compile_and_package(exported, package_path=tmp_path / "net.pt2")
    assert_same(torch._inductor.aoti_load_package(package)(**tensors), want)

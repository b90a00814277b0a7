"""The kernels of the deformable convolution against the reference, on a GPU or interpreted."""

import math

import pytest
import torch
from torch.autograd import forward_ad
from triton_support import DEVICE, check, only_where_kernels_run

from foveate.ops.deform import gather, reference
from foveate.ops.deform.arguments import geometry_of
from foveate.ops.deform.triton import (
    compute,
    deform_conv2d,
    gradients,
    layout,
    operators,
    plan,
    why_not,
)
from foveate.ops.deform.triton.source import Source
from support import assert_same, gradients_of

only_where_kernels_run()

# name: (N, C, H, W, C_out, kernel, groups, offset groups, stride, padding, dilation)
CASES = {
    "gate": (2, 12, 5, 6, 64, (3, 3), 1, 1, 1, 1, 1),
    "wide": (1, 51, 3, 3, 256, (3, 3), 1, 1, 1, 1, 1),
    "two blocks": (1, 25, 2, 3, 300, (1, 3), 1, 1, 1, (0, 1), 1),
    "many rows": (5, 3, 5, 6, 96, (1, 1), 1, 1, 1, 0, 1),
    "odd": (2, 6, 7, 6, 4, (3, 2), 2, 3, (2, 1), (1, 0), (2, 1)),
    "few": (2, 12, 2, 3, 4, (2, 1), 2, 3, 1, (1, 0), 1),
    "one pixel": (8, 16, 1, 1, 24, (3, 3), 1, 1, 1, 1, 1),
    "one row": (1, 4, 1, 9, 4, (1, 3), 4, 2, 1, (0, 1), 1),
}


def make(case, dtype=torch.float32, mask=True, bias=True, spread=1.5, coordinates=None):
    n, c, h, w, out, kernel, groups, offset_groups, stride, padding, dilation = CASES[case]
    g = torch.Generator().manual_seed(3)
    taps = kernel[0] * kernel[1]

    def pair(v):
        return v if isinstance(v, tuple) else (v, v)

    size = [
        (s + 2 * p - d * (k - 1) - 1) // t + 1
        for s, p, d, k, t in zip(
            (h, w), pair(padding), pair(dilation), kernel, pair(stride), strict=True
        )
    ]

    def draw(*shape, to=dtype):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(DEVICE, to)

    tensors = {
        "input": draw(n, c, h, w),
        "offset": draw(n, 2 * offset_groups * taps, *size, to=coordinates or dtype) * spread + 0.13,
        "weight": draw(out, c // groups, *kernel),
        "bias": draw(out) if bias else None,
        "mask": draw(n, offset_groups * taps, *size, to=coordinates or dtype).sigmoid()
        if mask
        else None,
    }
    return tensors, sizes_of(**tensors, steps=(stride, padding, dilation))


def sizes_of(input, offset, weight, bias=None, mask=None, steps=(1, 0, 1)):
    return geometry_of(input, offset, weight, bias, *steps, mask)


def call(function, geometry):
    def run(input, offset, weight, bias=None, mask=None):
        return function(input, offset, weight, bias, mask, geometry)

    return run


def compare(tensors, geometry):
    forms = (deform_conv2d, gather.deform_conv2d, reference.deform_conv2d)
    check(*(call(one, geometry) for one in forms), tensors)


@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient_equal_the_reference(case, scheme):
    optional = case not in ("wide", "one row")
    compare(*make(case, mask=optional, bias=optional))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("coordinates", [torch.float32, None])
def test_half_precision_is_as_right_as_the_gather_form(dtype, coordinates, scheme):
    compare(*make("gate", dtype, coordinates=coordinates))


def test_the_deterministic_input_gradient_is_the_same_gradient(monkeypatch):
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    for case in ("few", "one row"):
        compare(*make(case))


def test_deterministic_runs_agree_to_the_bit(monkeypatch):
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    tensors, geometry = make("one row", spread=0.2)
    first = gradients_of(call(deform_conv2d, geometry), tensors)
    again = gradients_of(call(deform_conv2d, geometry), tensors)
    assert torch.equal(first[0], again[0])
    assert all(torch.equal(first[1][name], again[1][name]) for name in first[1])


def test_the_backward_pass_in_several_steps_is_that_in_one(monkeypatch):
    tensors, geometry = make("many rows")
    _, whole = gradients_of(call(deform_conv2d, geometry), tensors)
    monkeypatch.setattr(plan, "TILE_BYTES", 2 * 30 * 8 * 4)  # two of five images
    _, steps = gradients_of(call(deform_conv2d, geometry), tensors)
    for name, grad in whole.items():
        assert_same(steps[name], grad, name)


def test_no_output_is_left_unwritten(poisoned_memory, scheme, monkeypatch):
    compare(*make("few"))
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    compare(*make("one pixel"))


def test_an_empty_batch_gives_an_empty_result(scheme):
    tensors, geometry = make("gate")
    per_image = ("input", "offset", "mask")
    empty = {k: v[:0] if k in per_image else v for k, v in tensors.items()}
    out, grads = gradients_of(call(deform_conv2d, geometry), empty)
    assert out.shape == (0, 64, 5, 6)
    assert {k: v.shape for k, v in grads.items()} == {k: v.shape for k, v in empty.items()}
    assert not grads["weight"].any() and not grads["bias"].any()


def test_kinks_follow_the_reference(scheme):
    # On integers and on both borders the one-sided slope is a convention.
    x, weight = torch.randn(1, 2, 4, 4), torch.randn(3, 2, 1, 1)
    offset = torch.zeros(1, 2, 4, 4)
    for column, target in enumerate((-1.0, 0.0, 3.0, 4.0)):
        offset[0, 0, :, column] = target - torch.arange(4.0)
        offset[0, 1, column, :] = target - torch.arange(4.0)
    tensors = {"input": x, "offset": offset, "weight": weight}
    tensors = {name: value.to(DEVICE) for name, value in tensors.items()}
    geometry = sizes_of(**tensors)
    got, got_grads = gradients_of(call(deform_conv2d, geometry), tensors)
    want, want_grads = gradients_of(call(reference.deform_conv2d, geometry), tensors)
    assert_same(got, want)
    for name, grad in want_grads.items():
        assert_same(got_grads[name], grad, name)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_nan_offset_spoils_its_own_pixel_only(fixed, scheme, monkeypatch):
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: fixed)
    tensors, geometry = make("gate")
    run = call(deform_conv2d, geometry)
    clean = run(**tensors)
    tensors["offset"][0, 4, 2, 3] = math.nan
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    out = run(**leaves)
    bad = torch.zeros(out.shape, dtype=torch.bool, device=DEVICE)
    bad[0, :, 2, 3] = True
    assert out[bad].isnan().all()
    assert torch.equal(out[~bad], clean[~bad])
    out.where(~bad, 0.0).square().sum().backward()
    assert leaves["input"].grad.isfinite().all()
    assert leaves["mask"].grad[0, 0].isfinite().all()
    assert leaves["offset"].grad[0, 4:6, 2, 3].isnan().all()
    others = torch.ones_like(tensors["offset"], dtype=torch.bool)
    others[0, 4:6, 2, 3] = False
    assert leaves["offset"].grad[others].isfinite().all()


@pytest.mark.parametrize("bad", [math.inf, -math.inf, 3e38])
def test_huge_and_infinite_offsets_read_zero_with_zero_gradient(bad, scheme):
    x = torch.rand(1, 2, 5, 7, device=DEVICE) + 1
    weight = torch.ones(1, 2, 1, 1, device=DEVICE)
    for channels in ([0], [1], [0, 1]):
        offset = torch.zeros(1, 2, 5, 7, device=DEVICE)
        offset[0, channels, 2, 3] = bad
        geometry = sizes_of(x, offset, weight)
        tensors = {"input": x, "offset": offset, "weight": weight}
        out, grads = gradients_of(call(deform_conv2d, geometry), tensors)
        assert out[0, 0, 2, 3] == 0
        assert (out[0, 0] != 0).sum() == 34
        assert grads["offset"][0, :, 2, 3].eq(0).all()
        assert grads["input"][0, :, 2, 3].eq(0).all()
        assert grads["input"].isfinite().all()


def test_a_nan_pixel_reaches_only_those_who_read_it(scheme):
    x = torch.rand(2, 1, 6, 6, device=DEVICE)
    x[0, 0, 0, 0] = math.nan
    offset = torch.full((2, 18, 6, 6), 50.0, device=DEVICE)  # everything reads outside
    offset[:, :, 5, 5] = 0.0
    weight = torch.ones(1, 1, 3, 3, device=DEVICE)
    geometry = sizes_of(x, offset, weight, steps=(1, 1, 1))
    assert deform_conv2d(x, offset, weight, None, None, geometry).isfinite().all()


def test_memory_layout_does_not_change_values_and_follows_the_input(scheme):
    tensors, geometry = make("gate")
    want, want_grads = gradients_of(call(deform_conv2d, geometry), tensors)
    assert want.is_contiguous()
    last = {
        name: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
        for name, value in tensors.items()
    }
    got, got_grads = gradients_of(call(deform_conv2d, geometry), last)
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert_same(got, want)
    for name, grad in want_grads.items():
        assert_same(got_grads[name], grad, name)
    # As a gate makes them: offsets and mask are slices of one map; the rest starts off alignment.
    both = torch.cat([tensors["offset"], tensors["mask"]], dim=1)
    odd = {
        name: torch.cat([value.new_zeros(1), value.flatten()])[1:].view(value.shape)
        for name, value in tensors.items()
    }
    odd["offset"], odd["mask"] = both[:, :18], both[:, 18:]
    odd["input"] = tensors["input"].transpose(2, 3).contiguous().transpose(2, 3)
    assert_same(deform_conv2d(**odd, geometry=geometry), want)


def test_second_derivatives_are_those_of_the_gather_form():
    tensors, geometry = make("one row")
    found = []
    for form in (deform_conv2d, gather.deform_conv2d):
        leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
        out = call(form, geometry)(**leaves)
        first = torch.autograd.grad(out.square().sum(), list(leaves.values()), create_graph=True)
        total = sum((one * one).sum() for one in first)
        found.append(torch.autograd.grad(total, list(leaves.values())))
    for got, want in zip(*found, strict=True):
        assert_same(got, want)


def test_forward_mode_and_transforms_take_the_gather_form():
    tensors, geometry = make("one row")
    tangent = torch.randn_like(tensors["offset"])
    found = []
    for form in (deform_conv2d, gather.deform_conv2d):
        with forward_ad.dual_level():
            dual = {**tensors, "offset": forward_ad.make_dual(tensors["offset"], tangent)}
            found.append(forward_ad.unpack_dual(call(form, geometry)(**dual)).tangent)
    assert found[0] is not None and found[0].any()
    assert_same(*found)
    tensors["bias"] = None

    def of_one(x, offset, mask):
        return deform_conv2d(x[None], offset[None], tensors["weight"], None, mask[None], geometry)[
            0
        ]

    mapped = torch.func.vmap(of_one)(tensors["input"], tensors["offset"], tensors["mask"])
    assert_same(mapped, deform_conv2d(**tensors, geometry=geometry))


def test_the_operators_keep_their_promises():
    tensors, geometry = make("one row")
    leaves = [value.requires_grad_() for value in tensors.values()]
    # The interpreter cannot be traced into; test_triton.py traces the kernels themselves.
    promises = ("test_schema", "test_autograd_registration", "test_faketensor")
    for last in (False, True):
        arguments = (*leaves, geometry.sizes, last)
        torch.library.opcheck(operators.deform_conv2d, arguments, test_utils=promises)
    grad = torch.randn(1, 4, *geometry.out, device=DEVICE)
    detached = {name: value.detach() for name, value in tensors.items() if name != "bias"}
    for wanted in ([True] * 5, [False, True, False, False, False]):
        arguments = (grad, *detached.values(), geometry.sizes, wanted)
        torch.library.opcheck(operators.deform_conv2d_backward, arguments, test_utils=promises[::2])


class Net(torch.nn.Module):
    def __init__(self, geometry):
        super().__init__()
        self.geometry = geometry

    def forward(self, input, offset, weight, bias, mask):
        return deform_conv2d(input, offset, weight, bias, mask, self.geometry) * 2


def test_a_graph_holds_the_operator_and_export_leaves_the_batch_free():
    tensors, geometry = make("one row")
    two = {
        k: torch.cat([v, v]) if v.dim() == 4 and k != "weight" else v for k, v in tensors.items()
    }
    want = 2 * deform_conv2d(**two, geometry=geometry)
    compiled = torch.compile(Net(geometry), fullgraph=True, backend="eager")
    assert torch.equal(compiled(**two), want)
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    free = {"input": batch, "offset": batch, "weight": None, "bias": None, "mask": batch}
    exported = torch.export.export(Net(geometry), (), kwargs=two, dynamic_shapes=free)
    targets = [str(node.target) for node in exported.graph.nodes]
    assert "foveate.deform_conv2d_triton.default" in targets
    four = {k: torch.cat([v, v]) if k in ("input", "offset", "mask") else v for k, v in two.items()}
    assert torch.equal(exported.module()(**four), torch.cat([want, want]))


def test_what_cannot_run_says_why():
    x = torch.zeros(1, 2, 3, 3, device=DEVICE)
    assert why_not(x) == []
    assert "float64" in why_not(x.double())[0]
    assert "on meta, not on a GPU" in why_not(x.to("meta"))[0]


@pytest.mark.parametrize("mutant", ["zero", "swap", "shift", "drop", "padding"])
def test_the_comparison_has_teeth(monkeypatch, mutant):
    real = Source.of

    def moved(move):
        def of(input, offset, *rest):
            return real(input, move(offset), *rest)

        monkeypatch.setattr(Source, "of", of)

    if mutant == "zero":
        packed = layout.pack_weight
        monkeypatch.setattr(compute, "pack_weight", lambda *a: packed(*a) * 0)
    elif mutant == "swap":
        moved(lambda offset: offset.view(1, -1, 2, 1, 9).flip(2).reshape(offset.shape))
    elif mutant == "shift":
        moved(lambda offset: offset + 1)
    elif mutant == "drop":
        monkeypatch.setattr(gradients, "unpack_rows", lambda rows, sections, x: torch.zeros_like(x))
    else:
        monkeypatch.setattr(gradients, "unpack_weight", lambda packed, like, *_: like.clone())
    with pytest.raises(AssertionError):
        compare(*make("one row"))


@pytest.mark.gpu
def test_compile_export_and_ahead_of_time_give_the_same_numbers(tmp_path):
    tensors, geometry = make("gate", torch.bfloat16, coordinates=torch.float32)
    net = Net(geometry)
    want, want_grads = gradients_of(net, tensors)
    got, got_grads = gradients_of(torch.compile(net, fullgraph=True), tensors)
    assert_same(got, want)
    for name, grad in want_grads.items():
        assert_same(got_grads[name], grad, name)
    exported = torch.export.export(net, (), kwargs=tensors)
    package = torch._inductor.aoti_compile_and_package(exported, package_path=tmp_path / "net.pt2")
    assert_same(torch._inductor.aoti_load_package(package)(**tensors), want)


@pytest.mark.gpu
@pytest.mark.xfail(strict=True, reason="atomic additions come in any order")
def test_atomic_additions_are_bitwise_equal():
    # Every sample of every pixel falls into one cell.
    x = torch.randn(1, 8, 64, 64, device="cuda")
    rows = torch.arange(64.0, device="cuda")
    offset = torch.stack([31.3 - rows[:, None].expand(64, 64), 31.6 - rows.expand(64, 64)])[None]
    weight = torch.randn(8, 8, 1, 1, device="cuda")
    geometry = sizes_of(x, offset, weight)
    tensors = {"input": x, "offset": offset.contiguous(), "weight": weight}
    runs = [gradients_of(call(deform_conv2d, geometry), tensors)[1]["input"] for _ in range(8)]
    assert all(torch.equal(one, runs[0]) for one in runs)


@pytest.mark.gpu
@pytest.mark.slow
def test_more_than_two_to_the_31_elements(monkeypatch):
    # (3, 256, 1680, 1680) outputs are 2.17e9; the last image must equal that of a small batch.
    monkeypatch.setattr(plan, "choose", lambda *_: plan.Plan("implicit", 128, 256, 16, 8, 3))
    x = torch.randn(3, 16, 1680, 1680, device="cuda", dtype=torch.bfloat16)
    offset = torch.randn(3, 2, 1680, 1680, device="cuda")
    weight = torch.randn(256, 16, 1, 1, device="cuda", dtype=torch.bfloat16)
    geometry = sizes_of(x, offset, weight)
    whole = deform_conv2d(x, offset, weight, None, None, geometry)
    last = deform_conv2d(x[2:], offset[2:], weight, None, None, geometry)
    assert torch.equal(whole[2:], last)

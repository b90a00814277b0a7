"""The deformable convolution: literals, torchvision as oracle, derivatives, bad numbers, teeth."""

import math

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torchvision.ops import deform_conv2d as oracle

from foveate.ops import deform_conv2d
from foveate.ops.deform import BACKENDS
from foveate.ops.deform import gather as vectorized
from support import assert_same, gradients_of

NAMES = [backend.name for backend in BACKENDS]
backends = pytest.mark.parametrize("backend", NAMES)

# name: (N, C, H, W, C_out, kernel, groups, offset groups, stride, padding, dilation)
CASES = {
    "gate": (2, 5, 7, 6, 8, (3, 3), 1, 1, 1, 1, 1),
    "odd": (2, 6, 9, 8, 4, (3, 2), 2, 3, (2, 1), (1, 0), (2, 1)),
    "one pixel": (1, 2, 1, 1, 3, (3, 3), 1, 1, 1, 1, 1),
    "one row": (1, 4, 1, 9, 4, (1, 3), 4, 2, 1, (0, 1), 1),
    "empty batch": (0, 4, 5, 5, 3, (3, 3), 1, 1, 1, 1, 1),
}


def make(case, mask=True, bias=True, dtype=torch.float64, spread=2.0):
    n, c, h, w, out, kernel, groups, offset_groups, stride, padding, dilation = CASES[case]
    g = torch.Generator().manual_seed(3)

    def pair(v):
        return v if isinstance(v, tuple) else (v, v)

    size = [
        (s + 2 * p - d * (k - 1) - 1) // t + 1
        for s, p, d, k, t in zip(
            (h, w), pair(padding), pair(dilation), kernel, pair(stride), strict=True
        )
    ]
    taps = kernel[0] * kernel[1]

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(dtype)

    tensors = {
        "input": draw(n, c, h, w),
        "offset": draw(n, 2 * offset_groups * taps, *size) * spread + 0.13,
        "weight": draw(out, c // groups, *kernel),
        "bias": draw(out) if bias else None,
        "mask": draw(n, offset_groups * taps, *size).sigmoid() if mask else None,
    }
    return tensors, {"stride": stride, "padding": padding, "dilation": dilation}


@backends
def test_a_sample_is_the_blend_of_four_pixels(backend):
    x = torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]], dtype=torch.float64)
    weight = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    offset = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
    offset[0, :, 0, 0] = torch.tensor([0.5, 0.25])  # down 0.5, right 0.25
    offset[0, :, 1, 1] = torch.tensor([0.0, 0.5])  # half way out of the map
    offset[0, :, 0, 1] = torch.tensor([-5.0, 0.0])  # outside
    out = deform_conv2d(x, offset, weight, backend=backend)
    top, bottom = 0.75 * 1 + 0.25 * 2, 0.75 * 4 + 0.25 * 8
    assert out.tolist() == [[[[(top + bottom) / 2, 0.0], [4.0, 4.0]]]]


@backends
def test_no_output_is_left_unwritten(backend, poisoned_memory):
    tensors, sizes = make("odd")
    got, got_grads = gradients_of(lambda **t: deform_conv2d(**t, **sizes, backend=backend), tensors)
    want, want_grads = gradients_of(lambda **t: oracle(**t, **sizes), tensors)
    assert_same(got, want)
    for name, want_grad in want_grads.items():
        assert_same(got_grads[name], want_grad, name)


@backends
def test_zero_offsets_give_the_ordinary_convolution(backend):
    tensors, sizes = make("odd", mask=False)
    tensors["offset"] = torch.zeros_like(tensors["offset"])
    got = deform_conv2d(**tensors, **sizes, backend=backend)
    want = torch.nn.functional.conv2d(
        tensors["input"], tensors["weight"], tensors["bias"], **sizes, groups=2
    )
    assert_same(got, want)


@backends
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient_equal_torchvision(backend, case, mask):
    tensors, sizes = make(case, mask=mask, bias=mask)
    tensors = {name: value for name, value in tensors.items() if value is not None}
    got, got_grads = gradients_of(lambda **t: deform_conv2d(**t, **sizes, backend=backend), tensors)
    want, want_grads = gradients_of(lambda **t: oracle(**t, **sizes), tensors)
    assert_same(got, want)
    if got.numel() == 0:
        return
    assert set(got_grads) == set(tensors)
    for name, want_grad in want_grads.items():
        assert_same(got_grads[name], want_grad, name)


@backends
def test_kinks_follow_torchvision(backend):
    # Exactly on integers and on both borders the one-sided slope is a convention to be kept.
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    weight = torch.randn(3, 2, 1, 1, dtype=torch.float64)
    offset = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    for column, target in enumerate((-1.0, 0.0, 3.0, 4.0)):
        offset[0, 0, :, column] = target - torch.arange(4.0, dtype=torch.float64)
        offset[0, 1, column, :] = target - torch.arange(4.0, dtype=torch.float64)
    tensors = {"input": x, "offset": offset, "weight": weight}
    got, got_grads = gradients_of(lambda **t: deform_conv2d(**t, backend=backend), tensors)
    want, want_grads = gradients_of(lambda **t: oracle(**t), tensors)
    assert_same(got, want)
    for name, want_grad in want_grads.items():
        assert_same(got_grads[name], want_grad, name)


@backends
@pytest.mark.parametrize("mask", [True, False])
def test_gradients_of_first_and_second_order_are_right(backend, mask):
    n, c, h, w, out, taps = 1, 2, 3, 3, 2, 4
    generator = torch.Generator().manual_seed(5)

    def leaf(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    x, weight = leaf(n, c, h, w), leaf(out, c, 2, 2)
    # Off the integers, where the function has a kink and no derivative.
    fraction = 0.2 + 0.6 * torch.rand(1, 2 * taps, 2, 2, generator=generator).double()
    whole = torch.randint(-2, 3, (1, 2 * taps, 2, 2), generator=generator)
    offset = (whole + fraction).requires_grad_()
    inputs = (x, offset, weight, *([leaf(n, taps, 2, 2)] if mask else []))

    def run(x, offset, weight, mask=None):
        return deform_conv2d(x, offset, weight, mask=mask, backend=backend)

    assert gradcheck(run, inputs, check_forward_ad=True)
    assert gradgradcheck(run, inputs)


@backends
def test_forward_mode_is_not_silently_zero(backend):
    tensors, sizes = make("gate", mask=False, bias=False)
    tangent = torch.randn_like(tensors["offset"])
    with forward_ad.dual_level():
        dual = {**tensors, "offset": forward_ad.make_dual(tensors["offset"], tangent)}
        out = deform_conv2d(**dual, **sizes, backend=backend)
        got = forward_ad.unpack_dual(out).tangent
    step = 1e-6
    moved = {**tensors, "offset": tensors["offset"] + step * tangent}
    want = deform_conv2d(**moved, **sizes) - deform_conv2d(**tensors, **sizes)
    assert_same(got, want / step, limit=1e-4)


@backends
def test_a_nan_offset_spoils_its_own_pixel_only(backend):
    tensors, sizes = make("gate")
    clean, clean_grads = gradients_of(
        lambda **t: deform_conv2d(**t, **sizes, backend=backend), tensors
    )
    tensors["offset"][0, 4, 2, 3] = math.nan
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    out = deform_conv2d(**leaves, **sizes, backend=backend)
    bad = torch.zeros(out.shape, dtype=torch.bool)
    bad[0, :, 2, 3] = True
    assert out[bad].isnan().all()
    assert torch.equal(out[~bad], clean[~bad])
    # A loss that leaves the pixel out has finite gradients for every input.
    out.where(~bad, 0.0).square().sum().backward()
    assert leaves["input"].grad.isfinite().all()
    assert leaves["mask"].grad[0, 0].isfinite().all()
    others = torch.ones_like(tensors["offset"], dtype=torch.bool)
    others[0, 4:6, 2, 3] = False  # both coordinates of the spoilt tap
    assert leaves["offset"].grad[others].isfinite().all()
    assert clean_grads["input"].isfinite().all()


@backends
@pytest.mark.parametrize("bad", [math.inf, -math.inf, 1e30, -3e38, 1e9])
@pytest.mark.parametrize("axis", [0, 1])
def test_huge_and_infinite_offsets_read_zero_with_zero_gradient(backend, bad, axis):
    x = torch.rand(1, 2, 5, 7) + 1
    offset = torch.zeros(1, 2, 5, 7)
    offset[0, axis, 2, 3] = bad
    tensors = {"input": x, "offset": offset, "weight": torch.ones(1, 2, 1, 1)}
    out, grads = gradients_of(lambda **t: deform_conv2d(**t, backend=backend), tensors)
    assert out[0, 0, 2, 3] == 0
    assert (out[0, 0] != 0).sum() == 34
    assert torch.equal(grads["offset"][0, :, 2, 3], torch.zeros(2))
    assert grads["input"][0, :, 2, 3].eq(0).all()
    assert grads["input"].isfinite().all()


@backends
def test_huge_offsets_on_both_axes_read_zero_too(backend):
    x, offset = torch.rand(1, 2, 5, 7) + 1, torch.zeros(1, 2, 5, 7)
    offset[0, :, 2, 3] = 3e38  # their sum is infinite in float32
    out = deform_conv2d(x, offset, torch.ones(1, 2, 1, 1), backend=backend)
    assert out[0, 0, 2, 3] == 0
    assert out.isfinite().all()


@backends
def test_the_forward_pass_can_be_vectorized(backend):
    tensors, sizes = make("gate")
    many = {name: torch.stack([value, 2 * value]) for name, value in tensors.items()}
    got = torch.func.vmap(lambda t: deform_conv2d(**t, **sizes, backend=backend))(many)
    want = [
        deform_conv2d(**{k: v[i] for k, v in many.items()}, **sizes, backend=backend)
        for i in (0, 1)
    ]
    assert_same(got, torch.stack(want))


@backends
def test_a_nan_pixel_reaches_only_those_who_read_it(backend):
    x = torch.rand(2, 1, 6, 6)
    x[0, 0, 0, 0] = math.nan
    offset = torch.full((2, 18, 6, 6), 50.0)  # everything reads outside
    offset[:, :, 5, 5] = 0.0
    out = deform_conv2d(x, offset, torch.ones(1, 1, 3, 3), padding=1, backend=backend)
    assert out.isfinite().all()


@backends
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_stays_near_float64(backend, dtype):
    tensors, sizes = make("gate", dtype=dtype)
    low, low_grads = gradients_of(lambda **t: deform_conv2d(**t, **sizes, backend=backend), tensors)
    wide = {name: value.double() for name, value in tensors.items()}
    want, want_grads = gradients_of(
        lambda **t: deform_conv2d(**t, **sizes, backend="reference"), wide
    )
    assert low.dtype == dtype
    assert_same(low, want.to(dtype))
    for name, grad in low_grads.items():
        assert grad.dtype == dtype
        assert_same(grad, want_grads[name].to(dtype), name)


def test_coordinates_are_not_rounded_to_bfloat16():
    # Column 200.5 does not exist in bfloat16, whose neighbors there are 200 and 201.
    x = torch.zeros(1, 1, 1, 256, dtype=torch.bfloat16)
    x[..., 201] = 1.0
    offset = torch.zeros(1, 2, 1, 256, dtype=torch.bfloat16)
    offset[0, 1, 0, 200] = 0.5
    for backend in NAMES:
        out = deform_conv2d(x, offset, torch.ones(1, 1, 1, 1, dtype=x.dtype), backend=backend)
        assert out[0, 0, 0, 200] == 0.5


@backends
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_cpu_autocast_runs_and_keeps_offsets_in_float32(backend, low):
    tensors, sizes = make("gate", dtype=torch.float32)
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    with torch.autocast("cpu", low):
        out = deform_conv2d(**leaves, **sizes, backend=backend)
    assert out.dtype == low
    want = oracle(**tensors, **sizes)
    assert_same(out, want.to(low))
    out.float().square().sum().backward()
    assert all(leaf.grad.dtype == torch.float32 for leaf in leaves.values())


@backends
def test_float64_is_left_alone_by_autocast(backend):
    tensors, sizes = make("gate")
    with torch.autocast("cpu", torch.bfloat16):
        out = deform_conv2d(**tensors, **sizes, backend=backend)
    assert_same(out, oracle(**tensors, **sizes))


@backends
def test_memory_layout_does_not_change_values_and_follows_the_input(backend):
    tensors, sizes = make("gate", dtype=torch.float32)
    want = deform_conv2d(**tensors, **sizes, backend=backend)
    last = {
        name: value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
        for name, value in tensors.items()
    }
    got = deform_conv2d(**last, **sizes, backend=backend)
    assert_same(got, want)
    shifted = {
        name: torch.cat([value.new_zeros(1), value.flatten()])[1:].view(value.shape)
        for name, value in tensors.items()
    }
    assert_same(deform_conv2d(**shifted, **sizes, backend=backend), want)
    if backend == "torch":
        assert got.is_contiguous(memory_format=torch.channels_last)
        assert want.is_contiguous()


@backends
def test_two_runs_and_two_thread_counts_agree_to_the_bit(backend):
    tensors, sizes = make("odd", dtype=torch.float32)
    runs = []
    for threads in (1, 1, 2):
        torch.set_num_threads(threads)
        try:
            runs.append(
                gradients_of(lambda **t: deform_conv2d(**t, **sizes, backend=backend), tensors)
            )
        finally:
            torch.set_num_threads(1)
    for out, grads in runs[1:]:
        assert torch.equal(out, runs[0][0])
        assert all(torch.equal(grads[name], runs[0][1][name]) for name in grads)


def test_per_sample_gradients_equal_single_ones():
    tensors, sizes = make("gate", mask=False, bias=False)
    weight = tensors["weight"]

    def loss(weight, x, offset):
        return deform_conv2d(x[None], offset[None], weight, **sizes).square().sum()

    many = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    got = many(weight, tensors["input"], tensors["offset"])
    one = torch.func.grad(loss)
    want = [one(weight, x, o) for x, o in zip(tensors["input"], tensors["offset"], strict=True)]
    assert_same(got, torch.stack(want))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"input": torch.zeros(5, 7, 6)}, ValueError, "input of rank 4"),
        ({"weight": torch.zeros(8, 4, 3, 3)}, ValueError, "weight"),
        ({"offset": torch.zeros(2, 17, 7, 6)}, ValueError, "offset"),
        ({"offset": torch.zeros(2, 18, 7, 5)}, ValueError, r"offset of shape \(2, 18, 7, 6\)"),
        ({"mask": torch.zeros(2, 8, 7, 6)}, ValueError, r"mask of shape \(2, 9, 7, 6\)"),
        ({"bias": torch.zeros(7)}, ValueError, r"bias of shape \(8,\)"),
        ({"weight": torch.zeros(8, 5, 3, 3).double()}, TypeError, "weight of input's dtype"),
        ({"offset": torch.zeros(2, 18, 7, 6).half()}, TypeError, "offset of dtype"),
        ({"stride": 0}, ValueError, "stride >= 1"),
        ({"stride": 1.0}, TypeError, "stride as an integer or two"),
        ({"weight": torch.zeros(8, 5, 0, 3)}, ValueError, "kernel of at least 1x1"),
        ({"offset": None}, TypeError, "a tensor offset; got NoneType"),
        ({"padding": (1, 1, 1)}, TypeError, "padding"),
        ({"input": torch.zeros(2, 5, 7, 6).long()}, TypeError, "floating"),
        ({"backend": "tritn"}, ValueError, "known backend"),
    ],
)
def test_bad_arguments_are_named(change, error, text):
    tensors, sizes = make("gate", dtype=torch.float32)
    with pytest.raises(error, match=text):
        deform_conv2d(**{**tensors, **sizes, **change})


@pytest.mark.parametrize("mutant", ["zero", "swap", "shift", "drop"])
def test_the_comparison_has_teeth(monkeypatch, mutant):
    """Each way of being wrong must be seen by the comparison with torchvision."""
    real = vectorized._coordinates
    if mutant == "swap":
        monkeypatch.setattr(vectorized, "_coordinates", lambda o, g: real(o, g)[::-1])
    elif mutant == "shift":
        monkeypatch.setattr(
            vectorized, "_coordinates", lambda o, g: (real(o, g)[0] + 1, real(o, g)[1])
        )
    elif mutant == "drop":
        monkeypatch.setattr(vectorized, "_coordinates", lambda o, g: real(o.detach(), g))
    else:
        full = vectorized._multiply
        monkeypatch.setattr(vectorized, "_multiply", lambda *a: full(*a) * 0)
    with pytest.raises((AssertionError, RuntimeError)):
        test_forward_and_every_gradient_equal_torchvision("torch", "gate", True)


@pytest.mark.slow
def test_compile_and_export_give_the_same_numbers():
    class Net(torch.nn.Module):
        def forward(self, input, offset, weight, mask):
            return deform_conv2d(input, offset, weight, mask=mask, padding=1)

    tensors, _ = make("gate", bias=False, dtype=torch.float32)
    tensors.pop("bias")
    want = Net()(**tensors)
    assert_same(torch.compile(Net(), fullgraph=True)(**tensors), want)
    exported = torch.export.export(Net(), (), kwargs=tensors)
    assert_same(exported.module()(**tensors), want)


@pytest.mark.gpu
def test_cuda_equals_cpu_and_autocast_runs():
    tensors, sizes = make("odd", dtype=torch.float32)
    want = deform_conv2d(**tensors, **sizes, backend="reference")
    cuda = {name: value.cuda() for name, value in tensors.items()}
    for name in NAMES:
        assert_same(deform_conv2d(**cuda, **sizes, backend=name).cpu(), want)
    with torch.autocast("cuda", torch.bfloat16):
        assert_same(deform_conv2d(**cuda, **sizes).cpu(), want.bfloat16())

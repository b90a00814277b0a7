"""The deformable convolution: literals, torchvision as oracle, derivatives, errors."""

import pytest
import torch
from operator_cases import CASES, FORMS, convolve, make
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torchvision.ops import deform_conv2d as oracle

from foveate.ops import deform_conv2d
from foveate.ops.deform import BACKENDS
from support import assert_same, gradients_of

forms = pytest.mark.parametrize("form", FORMS)
backends = pytest.mark.parametrize("form", FORMS[:2])


@forms
def test_a_sample_is_the_blend_of_four_pixels(form):
    x = torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]], dtype=torch.float64)
    weight = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    offset = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
    offset[0, :, 0, 0] = torch.tensor([0.5, 0.25])  # down 0.5, right 0.25
    offset[0, :, 1, 1] = torch.tensor([0.0, 0.5])  # half way out of the map
    offset[0, :, 0, 1] = torch.tensor([-5.0, 0.0])  # outside
    out = convolve(form, x, offset, weight)
    top, bottom = 0.75 * 1 + 0.25 * 2, 0.75 * 4 + 0.25 * 8
    assert out.tolist() == [[[[(top + bottom) / 2, 0.0], [4.0, 4.0]]]]


@forms
def test_no_output_is_left_unwritten(form, poisoned_memory):
    tensors, sizes = make("odd")
    got, got_grads = gradients_of(lambda **t: convolve(form, **t, **sizes), tensors)
    want, want_grads = gradients_of(lambda **t: oracle(**t, **sizes), tensors)
    assert_same(got, want)
    for name, want_grad in want_grads.items():
        assert_same(got_grads[name], want_grad, name)


@forms
def test_zero_offsets_give_the_ordinary_convolution(form):
    tensors, sizes = make("odd", mask=False)
    tensors["offset"] = torch.zeros_like(tensors["offset"])
    got = convolve(form, **tensors, **sizes)
    want = torch.nn.functional.conv2d(
        tensors["input"], tensors["weight"], tensors["bias"], **sizes, groups=2
    )
    assert_same(got, want)


@forms
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient_equal_torchvision(form, case, mask):
    tensors, sizes = make(case, mask=mask, bias=mask)
    tensors = {name: value for name, value in tensors.items() if value is not None}
    got, got_grads = gradients_of(lambda **t: convolve(form, **t, **sizes), tensors)
    want, want_grads = gradients_of(lambda **t: oracle(**t, **sizes), tensors)
    assert_same(got, want)
    if got.numel() == 0:
        return
    assert set(got_grads) == set(tensors)
    for name, want_grad in want_grads.items():
        assert_same(got_grads[name], want_grad, name)


@forms
def test_kinks_follow_torchvision(form):
    # Exactly on integers and on both borders the one-sided slope is a convention to be kept.
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    weight = torch.randn(3, 2, 1, 1, dtype=torch.float64)
    offset = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    for column, target in enumerate((-1.0, 0.0, 3.0, 4.0)):
        offset[0, 0, :, column] = target - torch.arange(4.0, dtype=torch.float64)
        offset[0, 1, column, :] = target - torch.arange(4.0, dtype=torch.float64)
    tensors = {"input": x, "offset": offset, "weight": weight}
    got, got_grads = gradients_of(lambda **t: convolve(form, **t), tensors)
    want, want_grads = gradients_of(lambda **t: oracle(**t), tensors)
    assert_same(got, want)
    for name, want_grad in want_grads.items():
        assert_same(got_grads[name], want_grad, name)


@pytest.mark.parametrize("form", ["reference", "gather"])
@pytest.mark.parametrize("mask", [True, False])
def test_gradients_of_first_and_second_order_are_right(form, mask):
    n, c, h, w, out, taps = 1, 2, 3, 2, 2, 2
    generator = torch.Generator().manual_seed(5)

    def leaf(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    x, weight = leaf(n, c, h, w), leaf(out, c, 2, 1)
    # Off the integers, where the function has a kink and no derivative.
    fraction = 0.2 + 0.6 * torch.rand(1, 2 * taps, 2, 2, generator=generator).double()
    whole = torch.randint(-2, 3, (1, 2 * taps, 2, 2), generator=generator)
    offset = (whole + fraction).requires_grad_()
    inputs = (x, offset, weight, *([leaf(n, taps, 2, 2)] if mask else []))

    def run(x, offset, weight, mask=None):
        return convolve(form, x, offset, weight, mask=mask)

    assert gradcheck(run, inputs, check_forward_ad=True)
    assert gradgradcheck(run, inputs)


@forms
def test_forward_mode_is_not_silently_zero(form):
    tensors, sizes = make("gate", mask=False, bias=False)
    tangent = torch.randn_like(tensors["offset"])
    with forward_ad.dual_level():
        dual = {**tensors, "offset": forward_ad.make_dual(tensors["offset"], tangent)}
        out = convolve(form, **dual, **sizes)
        got = forward_ad.unpack_dual(out).tangent
    step = 1e-6
    moved = {**tensors, "offset": tensors["offset"] + step * tangent}
    want = deform_conv2d(**moved, **sizes) - deform_conv2d(**tensors, **sizes)
    assert_same(got, want / step, limit=1e-4)


@forms
def test_the_forward_pass_can_be_vectorized(form):
    tensors, sizes = make("gate")
    many = {name: torch.stack([value, 2 * value]) for name, value in tensors.items()}
    got = torch.func.vmap(lambda t: convolve(form, **t, **sizes))(many)
    want = [convolve(form, **{k: v[i] for k, v in many.items()}, **sizes) for i in (0, 1)]
    assert_same(got, torch.stack(want))


@forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_stays_near_float64(form, dtype):
    tensors, sizes = make("gate", dtype=dtype)
    low, low_grads = gradients_of(lambda **t: convolve(form, **t, **sizes), tensors)
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
    for form in FORMS:
        out = convolve(form, x, offset, torch.ones(1, 1, 1, 1, dtype=x.dtype))
        assert out[0, 0, 0, 200] == 0.5


@backends
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_cpu_autocast_runs_and_keeps_offsets_in_float32(form, low):
    tensors, sizes = make("gate", dtype=torch.float32)
    leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
    with torch.autocast("cpu", low):
        out = convolve(form, **leaves, **sizes)
    assert out.dtype == low
    want = oracle(**tensors, **sizes)
    assert_same(out, want.to(low))
    out.float().square().sum().backward()
    assert all(leaf.grad.dtype == torch.float32 for leaf in leaves.values())


@backends
def test_float64_is_left_alone_by_autocast(form):
    tensors, sizes = make("gate")
    with torch.autocast("cpu", torch.bfloat16):
        out = convolve(form, **tensors, **sizes)
    assert_same(out, oracle(**tensors, **sizes))


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


@pytest.mark.gpu
def test_cuda_equals_cpu_and_autocast_runs():
    tensors, sizes = make("odd", dtype=torch.float32)
    want = deform_conv2d(**tensors, **sizes, backend="reference")
    cuda = {name: value.cuda() for name, value in tensors.items()}
    for backend in BACKENDS:
        name = backend.name
        assert_same(deform_conv2d(**cuda, **sizes, backend=name).cpu(), want)
    with torch.autocast("cuda", torch.bfloat16):
        assert_same(deform_conv2d(**cuda, **sizes).cpu(), want.bfloat16())

"""Where maps lie in memory changes no value, no gradient, and shows in the result's strides."""

import pytest
import torch
from operator_cases import FORMS, LAYOUTS, convolve, lay_out, leaf_gradients, make, make_gate

from foveate import ops
from foveate.ops import deform_gate, gate_epilogue, instance_norm, pointwise_conv2d
from foveate.ops.layout import (
    as_laid_out,
    from_rows,
    is_channels_last,
    like_rows,
    quick_layout,
    to_rows,
)
from foveate.ops.separable import separable_conv2d
from support import assert_same

CASES = {"odd": 2, "gate": 2, (1, 4, 5, 6, 4, (3, 3), 2, 2, 1, 1, 1): 1}
SHAPES = [(2, 3, 4, 5), (1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (0, 3, 4, 5), (3, 2, 1, 7)]


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


def assert_unmoved(run, tensors, layout, only=None):
    """Compare with contiguous copies of the same values."""
    moved = {
        name: lay_out(one, layout) if only in (None, name) else one for name, one in tensors.items()
    }
    plain = {name: one.clone(memory_format=torch.contiguous_format) for name, one in moved.items()}
    got, want = leaf_gradients(run, moved), leaf_gradients(run, plain)
    assert_same(got[0], want[0])
    for name, grad in want[1].items():
        assert_same(got[1][name], grad, name)
    return got[0], moved


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_convolution_reads_any_layout(form, case, layout):
    tensors, sizes = make(case)
    out, moved = assert_unmoved(lambda **t: convolve(form, **t, **sizes), tensors, layout)
    if form != "reference":
        last = is_channels_last(moved["input"])
        assert out.is_contiguous(memory_format=torch.channels_last) == last
        assert out.is_contiguous() != last


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("only", ["x", "squeezed", "offset", "weight", "mask", None])
@pytest.mark.parametrize("batch", [1, 2])
def test_a_gate_reads_any_layout(batch, only, layout):
    tensors = make_gate((batch, 6, 7, 6), offset_groups=2)
    out, moved = assert_unmoved(
        lambda **t: deform_gate(**t, backend="torch"), tensors, layout, only
    )
    assert is_channels_last(out) == is_channels_last(moved["x"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("only", ["x", "mixed", None])
def test_the_tail_reads_any_layout(only, layout):
    found = make_gate()
    tensors = {name: found[name] for name in ("x", "ln_weight", "ln_bias")}
    tensors["mixed"] = found["x"].flip(0)
    run = lambda **t: gate_epilogue(**t, backend="torch")  # noqa: E731
    out, moved = assert_unmoved(run, tensors, layout, only)
    assert is_channels_last(out) == is_channels_last(moved["x"])


@pytest.mark.parametrize("last", [True, False])
def test_gradients_arrive_in_any_layout(last):
    """What comes after the operator decides how the upstream gradient lies."""
    tensors, sizes = make("gate")
    gate = make_gate()
    calls = [
        (lambda **t: convolve("torch", **t, **sizes), tensors),
        (lambda **t: deform_gate(**t, backend="torch"), gate),
        (lambda x: instance_norm(x), {"x": channels_last(gate["x"])}),
    ]
    for run, given in calls:
        out = run(**given)
        upstream = torch.randn_like(out).contiguous()
        _, want = leaf_gradients(run, given, upstream)
        other = channels_last(upstream) if last else lay_out(upstream, "sliced")
        _, got = leaf_gradients(run, given, other)
        _, ones = leaf_gradients(run, given, torch.ones((), dtype=out.dtype).expand_as(out))
        _, dense = leaf_gradients(run, given, torch.ones_like(out))
        for name, grad in want.items():
            assert_same(got[name], grad, name)
            torch.testing.assert_close(ones[name], dense[name])


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_the_pixels_and_come_back(shape):
    for x in (torch.randn(shape), channels_last(torch.randn(shape))):
        rows = to_rows(x)
        assert rows.shape == (shape[0] * shape[2] * shape[3], shape[1])
        back = from_rows(rows, x)
        assert torch.equal(back, x)
        long = [place for place, size in enumerate(shape) if size > 1 and x.numel()]
        assert [back.stride(i) for i in long] == [like_rows(x).stride(i) for i in long]
        if x.numel() and shape[2] * shape[3] > 1:
            assert is_channels_last(back) == is_channels_last(x)
    if rows.numel():
        assert rows[-1].tolist() == x[-1, :, -1, -1].tolist()


def test_a_channels_last_map_becomes_rows_without_a_copy():
    x = channels_last(torch.randn(2, 3, 4, 5))
    assert to_rows(x).data_ptr() == quick_layout(x).data_ptr() == x.data_ptr()
    assert from_rows(to_rows(x), x).data_ptr() == as_laid_out(x, x).data_ptr() == x.data_ptr()


def test_layouts_are_told_apart():
    x = torch.randn(2, 3, 4, 5)
    last = channels_last(x)
    assert is_channels_last(last) and not is_channels_last(x)
    assert not is_channels_last(last[:, :2]) and not is_channels_last(last[..., ::2])
    assert is_channels_last(last[1:]) and is_channels_last(quick_layout(x))
    assert as_laid_out(last, x).is_contiguous() and is_channels_last(as_laid_out(last, last))
    # One channel lies the same either way; both formats call it theirs, and it counts as neither.
    assert not is_channels_last(channels_last(torch.randn(2, 1, 4, 5)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_a_pointwise_convolution_is_the_library_s(shape, bias, layout):
    tensors = {
        "x": lay_out(torch.randn(shape, dtype=torch.float64), layout),
        "weight": torch.randn(4, shape[1], 1, 1, dtype=torch.float64),
    }
    if bias:
        tensors["bias"] = torch.randn(4, dtype=torch.float64)
    conv2d = torch.nn.functional.conv2d
    got = leaf_gradients(pointwise_conv2d, tensors)
    want = leaf_gradients(lambda x, weight, bias=None: conv2d(x, weight, bias), tensors)
    assert is_channels_last(got[0]) or not is_channels_last(tensors["x"])
    torch.testing.assert_close(got[0], want[0])
    for name, grad in want[1].items():
        torch.testing.assert_close(got[1][name], grad)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 5), (0, 3, 4, 5), (3, 2, 1, 7)])
def test_an_instance_norm_is_the_library_s_and_stays_channels_last(shape, affine):
    tensors = {"x": channels_last(torch.randn(shape, dtype=torch.float64) + 1)}
    if affine and shape[0]:  # the library itself fails on an empty batch with a scale
        weight, bias = torch.randn(2, shape[1], dtype=torch.float64)
        tensors |= {"weight": weight, "bias": bias}

    def library(x, weight=None, bias=None):
        return torch.nn.functional.instance_norm(x, None, None, weight, bias)

    got, want = leaf_gradients(instance_norm, tensors), leaf_gradients(library, tensors)
    assert is_channels_last(got[0])
    torch.testing.assert_close(got[0], want[0], check_stride=False)
    for name, grad in want[1].items():
        torch.testing.assert_close(got[1][name], grad, check_stride=False)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 5)])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 4, 5), (0, 3, 4, 5), (3, 2, 1, 7)])
def test_a_separable_convolution_is_the_library_s_two(shape, kernel, monkeypatch):
    monkeypatch.setattr("foveate.ops.separable._KEPT_BYTES", -1)
    tensors = {
        "x": channels_last(torch.randn(shape, dtype=torch.float64)),
        "depthwise": torch.randn(shape[1], 1, *kernel, dtype=torch.float64),
        "pointwise": torch.randn(4, shape[1], 1, 1, dtype=torch.float64),
    }
    conv2d = torch.nn.functional.conv2d

    def library(x, depthwise, pointwise):
        padding = [size // 2 for size in kernel]
        return conv2d(conv2d(x, depthwise, padding=padding, groups=shape[1]), pointwise)

    got, want = leaf_gradients(separable_conv2d, tensors), leaf_gradients(library, tensors)
    assert is_channels_last(got[0])
    torch.testing.assert_close(got[0], want[0], check_stride=False)
    for name, grad in want[1].items():
        torch.testing.assert_close(got[1][name], grad, check_stride=False)


@pytest.mark.parametrize("channels", [1, 8])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", ["deform_conv2d", "deform_gate", "gate_epilogue", "squeeze"])
def test_results_may_be_changed_in_place_as_those_of_any_operator(name, memory, channels):
    """As an activation after the gate does that works in place."""
    x, offset, mask = (
        torch.randn(2, channels, 6, 5),
        torch.randn(2, 18, 6, 5),
        torch.rand(2, 9, 6, 5),
    )
    weight = torch.randn(channels, channels, 3, 3, requires_grad=True)
    x, offset, mask = (
        one.contiguous(memory_format=memory).requires_grad_() for one in (x, offset, mask)
    )
    scale, shift = torch.ones(channels), torch.zeros(channels)
    run = {
        "deform_conv2d": lambda: ops.deform_conv2d(x, offset, weight, padding=1, mask=mask),
        "deform_gate": lambda: ops.deform_gate(
            x, x, offset, weight, mask=mask, ln_weight=scale, ln_bias=shift
        ),
        "gate_epilogue": lambda: ops.gate_epilogue(x, 2 * x, scale, shift),
        "squeeze": lambda: ops.separable_conv2d(x, weight[:, :1], weight[:, :, :1, :1]),
    }[name]
    want = torch.autograd.grad((run() * 3).sum(), x)[0]
    changed = run()
    changed *= 3
    assert_same(torch.autograd.grad(changed.sum(), x)[0], want)

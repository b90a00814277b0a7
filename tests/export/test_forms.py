"""The forms of a deformable convolution in exported graphs, against each other and by hand."""

import pytest
import torch

from foveate.attention import DAS
from foveate.ops.deform import gather, grid, native, reference
from foveate.ops.deform.arguments import geometry_of
from foveate.ops.deform.forms import FORMS, exported_as
from support import assert_same

# batch, channels, height, width, outputs, kernel, stride, padding, dilation, groups, offset groups
CASES = {
    "square": (2, 8, 9, 7, 12, (3, 3), (1, 1), (1, 1), (1, 1), 1, 1),
    "grouped": (2, 8, 9, 7, 12, (3, 3), (2, 1), (1, 0), (1, 2), 4, 2),
    "one row": (1, 4, 1, 5, 4, (1, 3), (1, 1), (0, 1), (1, 1), 1, 4),
    "one column": (3, 6, 5, 1, 6, (3, 1), (1, 1), (1, 0), (1, 1), 6, 3),
}


def make(case, dtype=torch.float64, spread=4.0):
    batch, channels, height, width, outputs, kernel, stride, pad, gap, groups, offsets = case
    out = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, p, d, k, s in zip((height, width), pad, gap, kernel, stride, strict=True)
    ]
    taps = kernel[0] * kernel[1]
    given = [
        torch.randn(batch, channels, height, width, dtype=dtype),
        spread * torch.randn(batch, 2 * offsets * taps, *out, dtype=dtype),
        torch.randn(outputs, channels // groups, *kernel, dtype=dtype),
        torch.randn(outputs, dtype=dtype),
    ]
    mask = torch.rand(batch, offsets * taps, *out, dtype=dtype)
    return [*given, mask], geometry_of(*given, stride, pad, gap, mask)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("form", [grid, native, gather])
def test_each_form_is_the_reference(form, case, bare):
    pytest.importorskip("torchvision")
    tensors, geometry = make(case)
    if bare:
        tensors[3:] = None, None
    got = form.deform_conv2d(*tensors, geometry)
    assert_same(got, reference.deform_conv2d(*tensors, geometry))


def test_samples_outside_fade_to_zero_and_infinite_ones_read_nothing():
    """One pixel of value 1 and one tap: what is read is what bilinear weights say."""
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for (dy, dx), want in {
        (0.0, 0.0): 1.0,
        (0.25, 0.0): 0.75,
        (-0.5, 0.5): 0.25,
        (0.0, 1.0): 0.0,
        (-1e30, 0.0): 0.0,
        (float("inf"), 0.0): 0.0,
    }.items():
        offset = torch.tensor([dy, dx], dtype=torch.float64).view(1, 2, 1, 1)
        geometry = geometry_of(one, offset, one, None, 1, 0, 1, None)
        got = grid.deform_conv2d(one, offset, one, None, None, geometry)
        assert got.item() == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_context_decides_what_a_graph_holds_and_nothing_else(form):
    pytest.importorskip("torchvision")
    gate, x = DAS(8).eval(), torch.randn(2, 8, 5, 6)
    torch.nn.init.normal_(gate.offset.weight)
    want = gate(x)
    with exported_as(form):
        program = torch.export.export(gate, (x,), strict=False)
        assert torch.equal(gate(x), want)
    text = program.graph_module.code
    marks = {"deformconv": "torchvision", "gridsample": "grid_sampler", "gather": "index_select"}
    assert {name for name, mark in marks.items() if mark in text} == {form}
    assert_same(program.module()(x), want)
    assert "index_select" in torch.export.export(gate, (x,), strict=False).graph_module.code


def test_an_unknown_form_lists_the_known_ones():
    with pytest.raises(ValueError, match="did you mean 'gather'"), exported_as("gathr"):
        pass

"""Modulated deformable convolution against torchvision's; what it shares is tested with ``dcn``."""

import pytest
import torch
from formulas import check_formula
from torch.nn import functional
from torchvision.ops import deform_conv2d

from foveate.attention import ModulatedDeformableConv
from support import assert_same


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, 1.0),
        ({"out_channels": 12, "stride": 2, "bias": True, "mask_scale": 2.0}, 2.0),
        ({"groups": 8, "offset_groups": 2}, 1.0),
    ],
)
def test_dcnv2_is_its_formula(options, scale):
    """The maps by an ordinary convolution, displacements first; the rest by torchvision."""
    where = {"stride": options.get("stride", 1), "padding": 1}
    taps = 9 * options.get("offset_groups", 1)

    def formula(weights, x):
        maps = functional.conv2d(x, weights["offset.weight"], weights["offset.bias"], **where)
        offset, mask = maps[:, : 2 * taps], scale / (1 + (-maps[:, 2 * taps :]).exp())
        return deform_conv2d(x, offset, weights["weight"], weights.get("bias"), mask=mask, **where)

    torch.manual_seed(0)
    check_formula(ModulatedDeformableConv(8, **options), formula, (2, 8, 7, 5))


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_fresh_one_is_a_multiple_of_the_plain_convolution(scale):
    module = ModulatedDeformableConv(8, mask_scale=scale).double()
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)
    assert_same(module(x), scale / 2 * functional.conv2d(x, module.weight, padding=1))


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="ModulatedDeformableConv expects mask_scale in"):
        ModulatedDeformableConv(8, mask_scale=0.0)
    with pytest.raises(ValueError, match="ModulatedDeformableConv expects groups that divide"):
        ModulatedDeformableConv(8, groups=3)

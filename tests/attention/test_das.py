"""The gate: exact sizes, the properties that follow from its definition, its options."""

import math

import pytest
import torch
from torch.nn import functional

import foveate
from foveate.attention import DAS, attention_spec
from support import assert_same

# C: (all but the deformable kernel, the kernel), exact.
SIZES = {
    64: (4_415, 6_912),
    128: (10_710, 28_800),
    256: (28_292, 117_504),
    512: (82_669, 470_016),
    1024: (269_759, 1_880_064),
    2048: (959_574, 7_538_688),
}


@pytest.mark.parametrize("channels", SIZES)
def test_parameters_are_the_exact_integers(channels):
    with torch.device("meta"):
        gate = DAS(channels)
    kernel = gate.deform.weight.numel()
    assert (sum(w.numel() for w in gate.parameters()) - kernel, kernel) == SIZES[channels]


@pytest.mark.parametrize(
    ("channels", "squeezed"),
    [(16, 3), (24, 4), (32, 6), (64, 12), (96, 19), (160, 32), (320, 64), (15, 3), (2, 1)],
)
def test_the_squeezed_width_is_floored_but_for_float_error(channels, squeezed):
    assert DAS(channels).squeezed == squeezed


def test_closed_form():
    """The gate computed step by step from its definition, with ordinary operators."""
    torch.manual_seed(2)
    gate = DAS(10).double()
    torch.nn.init.normal_(gate.ln_weight)
    torch.nn.init.normal_(gate.ln_bias)
    torch.nn.init.normal_(gate.offset.weight[18:], std=0.3)  # mask only: offsets stay zero
    x = torch.randn(2, 10, 6, 5, dtype=torch.float64)
    squeezed = functional.conv2d(x, gate.squeeze.depthwise.weight, padding=1, groups=10)
    squeezed = functional.conv2d(squeezed, gate.squeeze.pointwise.weight)
    mean = squeezed.mean((2, 3), keepdim=True)
    variance = squeezed.var((2, 3), unbiased=False, keepdim=True)
    z = (squeezed - mean) / (variance + 1e-5).sqrt()
    z = z * 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    mask = functional.conv2d(z, gate.offset.weight[18:], gate.offset.bias[18:], padding=1)
    # Without displacement the deformable step is a convolution whose taps are weighed per pixel.
    taps = functional.unfold(z, 3, padding=1).view(2, 2, 9, 6, 5) * mask.sigmoid()[:, None]
    mixed = torch.einsum("nrkhw,crk->nchw", taps, gate.deform.weight.flatten(2))
    centered = mixed - mixed.mean(1, keepdim=True)
    normed = centered / (centered.square().mean(1, keepdim=True) + 1e-5).sqrt()
    normed = normed * gate.ln_weight[:, None, None] + gate.ln_bias[:, None, None]
    want = 1 / (1 + torch.exp(-normed))
    assert_same(gate.gate(x), want)
    assert_same(gate(x), x * want)


def test_offsets_of_one_pixel_shift_what_is_read():
    """All taps displaced by one pixel to the right read the squeezed map shifted to the left."""
    gate = DAS(8, modulated=False).double()
    x = torch.randn(1, 8, 6, 7, dtype=torch.float64)
    with torch.no_grad():
        gate.offset.bias[1::2] = 1.0
    squeezed = gate._squeeze(x)
    shifted = functional.pad(squeezed, (0, 1))[..., 1:]
    # The left column of the shifted convolution sees the true map, not padding.
    plain = functional.conv2d(functional.pad(shifted, (1, 1, 1, 1)), gate.deform.weight)
    mixed = gate.deform(squeezed, *gate._predict(x, squeezed))
    assert_same(mixed[..., 1:], plain[..., 1:])
    with pytest.raises(AssertionError):
        assert_same(mixed[..., :1], plain[..., :1])


def test_the_gate_lies_between_zero_and_one_and_never_grows_its_input():
    gate = DAS(12)
    x = 10 * torch.randn(2, 12, 9, 7)
    weights = gate.gate(x)
    assert weights.shape == x.shape
    assert (weights > 0).all() and (weights < 1).all()
    assert (gate(x).abs() <= x.abs()).all()
    assert not gate(torch.zeros(1, 12, 4, 4)).any()


def test_a_fresh_gate_passes_half():
    weights = DAS(64).gate(torch.randn(2, 64, 16, 16))
    assert abs(weights.mean() - 0.5) < 0.01
    assert abs(weights.std() - 0.21) < 0.01


def test_contrast_and_brightness_of_the_squeezed_map_do_not_matter():
    gate = DAS(10).double()
    x = torch.randn(1, 10, 8, 8, dtype=torch.float64)
    squeezed = gate.squeeze(x)
    want = gate.norm(squeezed)
    assert_same(gate.norm(3.0 * squeezed - 7.0), want, limit=1e-4)
    mixed = torch.randn(1, 10, 8, 8, dtype=torch.float64)
    assert_same(gate._layer_norm(mixed + torch.randn(1, 1, 8, 8)), gate._layer_norm(mixed))


def test_sampling_points_start_on_the_regular_grid_and_follow_the_bias():
    gate = DAS(8)
    x = torch.randn(2, 8, 5, 6)
    points = gate.offsets(x)
    assert points.shape == (2, 9, 2, 5, 6)
    assert points[1, 4, :, 3, 2].tolist() == [3.0, 2.0]  # the middle tap sits on its pixel
    assert points[0, 0, :, 3, 2].tolist() == [2.0, 1.0]  # the first is up and left
    assert points[0, 5, :, 3, 2].tolist() == [3.0, 3.0]  # the sixth to the right
    with torch.no_grad():
        gate.offset.bias[2 * 5] = -2.5  # vertical displacement of the sixth tap
    assert gate.offsets(x)[0, 5, :, 3, 2].tolist() == [0.5, 3.0]


OPTIONS = [
    {"alpha": 0.5},
    {"alpha": 1},
    {"rounding": "ceil"},
    {"alpha": 0.3, "rounding": "round"},
    {"multiple_of": 8},
    {"separable_order": "pw_dw"},
    {"separable_kernel": 5, "separable_bias": True},
    {"separable_order": "pw_dw", "separable_norm": "batch", "separable_bias": True},
    {"separable_norm": "batch", "separable_activation": "relu"},
    {"inst_affine": True, "inst_track_stats": True},
    {"activation": "gelu_tanh"},
    {"activation": "relu"},
    {"offset_source": "input"},
    {"modulated": False},
    {"mask_scale": 2.0},
    {"offset_kernel": 1, "offset_bias": False},
    {"offset_init": "default"},
    {"alpha": 0.5, "offset_groups": 3},
    {"deform_weight": "grouped9", "deform_bias": True},
    {"deform_weight": "dw_pw", "deform_bias": True},
    {"deform_weight": "dw_pw"},
    {"deform_bias": True},
    {"ln_axes": "group1"},
    {"ln_axes": "chw", "map_size": (7, 5)},
    {"ln_affine": False},
    {"residual": True},
    {"init": "near_identity"},
    {"eps": 1e-3},
    *({"norm_before": norm} for norm in ("none", "batch", "layer", "group")),
    *({"norm_after": norm} for norm in ("none", "batch", "instance", "group")),
]


@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items())
)
def test_every_option_is_counted_and_changes_the_gate(options):
    torch.manual_seed(4)
    gate = DAS(12, **options).eval()
    assert sum(w.numel() for w in gate.parameters()) == attention_spec("das").params(12, **options)
    torch.manual_seed(4)
    plain = DAS(12).eval()
    x = torch.randn(3, 12, 7, 5)
    with torch.no_grad():  # away from ones and zeros, which would hide a missing weight
        for weight in [*gate.parameters(), *plain.parameters()]:
            weight.add_(0.1)
    out = gate(x)
    assert out.isfinite().all()
    assert not torch.equal(out, plain(x))
    out.square().sum().backward()
    assert gate.deform.weight.grad.isfinite().all()


def test_grouped_kernels_read_one_squeezed_channel_each():
    """Output channel c reads squeezed channel c mod r: a dense kernel with zeros elsewhere."""
    gate = DAS(7, alpha=0.45, deform_weight="grouped9").double()
    z = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    offset = torch.randn(1, 18, 5, 5, dtype=torch.float64)
    dense = torch.zeros(7, 3, 3, 3, dtype=torch.float64)
    for channel in range(7):
        dense[channel, channel % 3] = gate.deform.weight[channel, 0]
    want = foveate.ops.deform_conv2d(z, offset, dense, padding=1)
    assert_same(gate.deform(z, offset, None), want)


def test_near_identity_start_passes_almost_everything():
    x = torch.rand(1, 8, 6, 6) + 1
    out = DAS(8, init="near_identity")(x)
    assert_same(out, x * torch.tensor(6.0).sigmoid())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"alpha": 0}, r"alpha in \(0, 1\]; got 0"),
        ({"alpha": -1.0}, r"alpha in \(0, 1\]"),
        ({"alpha": 1.5}, r"alpha in \(0, 1\]"),
        ({"alpha": math.nan}, r"alpha in \(0, 1\]"),
        ({"rounding": "down"}, "known rounding"),
        ({"mask_scale": -1.0}, "mask_scale in"),
        ({"eps": 0.0}, "eps in"),
        ({"separable_kernel": 4}, "odd separable_kernel"),
        ({"offset_groups": 5}, "offset_groups that divide the 2"),
        ({"ln_axes": "chw"}, "map_size"),
        ({"gate_function": "tanh"}, "known gate_function"),
        ({"init": "near_identity", "ln_affine": False}, "ln_affine=True"),
    ],
)
def test_bad_options_are_named(options, text):
    with pytest.raises(ValueError, match=text):
        DAS(12, **options)


def test_a_single_pixel_names_the_way_out():
    with pytest.raises(ValueError, match=r"at least 2 pixels; got 1x1; .*small-image stem"):
        DAS(4)(torch.rand(2, 4, 1, 1))


def test_the_gate_is_worth_its_float64():
    gate = DAS(6).double()
    with torch.no_grad():
        gate.offset.bias.uniform_(0.2, 0.7)
    x = torch.randn(1, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gate, (x,))
    assert torch.autograd.gradgradcheck(gate, (x,))

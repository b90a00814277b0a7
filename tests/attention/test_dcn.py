"""Deformable convolution against torchvision's, and against the plain one that it starts as."""

import pytest
import torch
from formulas import check_formula
from torch.nn import functional
from torchvision.ops import deform_conv2d

from foveate.attention import DeformableConv, attention_spec, create_attention
from foveate.attention.place import Place
from recording import fill_
from support import assert_same, gradients_of

GEOMETRIES = [
    {},
    {"out_channels": 12, "stride": 2, "bias": True},
    {"groups": 8, "dilation": 2},  # depthwise
    {"dilation": 3, "padding": 1},
    {"out_channels": 4, "groups": 2, "offset_groups": 4, "kernel": 5, "padding": 1},
    {"kernel": 2, "padding": 1, "stride": 2},
]
REPLACED = {
    "out_channels": 16,
    "kernel": 3,
    "stride": 2,
    "padding": 1,
    "dilation": 1,
    "groups": 8,
    "bias": True,
}


def arguments(stride=1, dilation=1, padding=None, kernel=3, **_):
    padding = dilation * (kernel // 2) if padding is None else padding
    return {"stride": stride, "dilation": dilation, "padding": padding}


@pytest.mark.parametrize("options", GEOMETRIES)
def test_dcn_is_its_formula(options):
    """The displacements by an ordinary convolution, the rest by torchvision."""
    where = arguments(**options)

    def formula(weights, x):
        offset = functional.conv2d(x, weights["offset.weight"], weights["offset.bias"], **where)
        return deform_conv2d(x, offset, weights["weight"], weights.get("bias"), **where)

    torch.manual_seed(0)
    check_formula(DeformableConv(8, **options), formula, (2, 8, 7, 5))


@pytest.mark.parametrize("options", GEOMETRIES)
def test_a_fresh_one_is_the_plain_convolution(options):
    torch.manual_seed(0)
    module = DeformableConv(8, **options).double()
    own = {name: value for name, value in options.items() if name != "offset_groups"}
    own["padding"] = arguments(**options)["padding"]
    plain = torch.nn.Conv2d(8, own.pop("out_channels", 8), own.pop("kernel", 3), **own).double()
    with torch.no_grad():
        module.weight.copy_(plain.weight)
        if module.bias is None:
            plain.bias = None
        else:
            module.bias.copy_(plain.bias)
    x = torch.randn(2, 8, 7, 5, dtype=torch.float64)
    assert_same(module(x), plain(x))


def test_its_kernel_starts_as_that_of_an_ordinary_convolution():
    torch.manual_seed(0)
    module = DeformableConv(8, 12, groups=2, bias=True)
    assert not module.offset.weight.any() and not module.offset.bias.any()
    bound = (9 * 8 // 2) ** -0.5
    assert 0.9 * bound < module.weight.abs().max() <= bound
    assert 0.3 * bound < module.bias.abs().max() <= bound


@pytest.mark.parametrize("name", ["dcn", "dcnv2"])
def test_a_kernel_handed_in_does_what_one_of_its_own_does(name):
    options = {"out_channels": 16, "groups": 8, "stride": 2}
    own = fill_(create_attention(name, 8, **options, bias=True).double())
    borrowing = create_attention(name, 8, **options, own_kernel=False).double()
    weights = dict(own.named_parameters())
    predictor = {key: weights[key] for key in ("offset.weight", "offset.bias")}
    assert sorted(borrowing.state_dict()) == sorted(predictor)
    inputs = {"x": torch.randn(2, 8, 7, 5, dtype=torch.float64), **weights}

    def with_own(x, **given):
        return torch.func.functional_call(own, given, (x,))

    def with_handed(x, weight, bias, **given):
        return torch.func.functional_call(borrowing, given, (x, weight, bias))

    want, want_grads = gradients_of(with_own, inputs)
    got, got_grads = gradients_of(with_handed, inputs)
    assert_same(got, want)
    for key in inputs:
        assert_same(got_grads[key], want_grads[key], key)


@pytest.mark.parametrize("name", ["dcn", "dcnv2"])
def test_a_kernel_is_handed_in_or_its_own_but_not_both(name):
    x, weight = torch.rand(1, 4, 5, 5), torch.rand(4, 4, 3, 3)
    borrowing = create_attention(name, 4, own_kernel=False)
    who = type(borrowing).__name__
    with pytest.raises(ValueError, match=rf"{who} expects a weight, .*; got None; own_kernel"):
        borrowing(x)
    own = create_attention(name, 4, bias=True)
    for given in ((weight,), (None, weight[0, 0])):
        with pytest.raises(ValueError, match=rf"{who} expects no weight, .*; own_kernel=False"):
            own(x, *given)


@pytest.mark.parametrize("name", ["dcn", "dcnv2"])
def test_in_place_of_a_convolution_it_takes_over_all_but_the_weights(name):
    spec = attention_spec(name)
    assert spec.borrows_kernel
    place = Place(8, (6, 6), replaced=REPLACED)
    facts = spec.fit(place, {"offset_groups": 2, "dilation": 2})
    assert facts == {**{k: v for k, v in REPLACED.items() if k != "dilation"}, "own_kernel": False}
    conv = torch.nn.Conv2d(8, 16, 3, 2, 1, groups=8)
    module = spec.factory(8, **spec.fit(place, {}))
    scale = 1 if name == "dcn" else 0.5
    x = torch.rand(2, 8, 7, 5)
    plain = functional.conv2d(x, conv.weight, None, 2, 1, groups=8)
    want = scale * plain + conv.bias[:, None, None]
    assert_same(module(x, conv.weight, conv.bias), want)
    assert spec.fit(Place(8, (6, 6)), {}) == {}


@pytest.mark.parametrize(("name", "maps"), [("dcn", 18), ("dcnv2", 27)])
def test_parameters_are_the_exact_integers(name, maps):
    params = attention_spec(name).params
    for channels in (64, 128, 256, 512):
        assert params(channels, own_kernel=False) == 9 * channels * maps + maps
    options = {"out_channels": 12, "kernel": 5, "groups": 4, "bias": True, "offset_groups": 2}
    module = create_attention(name, 8, **options)
    counted = sum(weight.numel() for weight in module.parameters())
    maps = maps // 9 * 25 * 2
    assert counted == 25 * 8 * maps + maps + 25 * 2 * 12 + 12 == params(8, **options)


@pytest.mark.parametrize(
    ("name", "totals"),
    [("dcn", (26_137_874, 45_835_332)), ("dcnv2", (26_428_295, 46_478_418))],
)
def test_whole_networks_have_the_published_size(name, totals):
    params = attention_spec(name).params
    for blocks, plain, total in zip(
        ((4, 6, 3), (4, 23, 3)), (25_557_032, 44_549_160), totals, strict=True
    ):
        widths = zip((128, 256, 512), blocks, strict=True)
        assert plain + sum(n * params(c, own_kernel=False) for c, n in widths) == total


def test_displacements_are_used_in_float32_under_autocast():
    """Moved by a whole pixel far from the origin, where bfloat16 cannot tell the pixels apart."""
    module = DeformableConv(1, padding=1)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[0, 0, 1, 1] = 1
        module.offset.bias[1::2] = 1.0
    x = torch.zeros(1, 1, 2, 600)
    x[..., 1::2] = 1
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(x)[..., :-1].float(), x[..., 1:])


@pytest.mark.parametrize("name", ["dcn", "dcnv2"])
def test_a_symbolic_trace_gives_the_same_numbers(name):
    module = fill_(create_attention(name, 4))
    x = torch.rand(2, 4, 6, 5)
    network = torch.nn.Sequential(module, torch.nn.ReLU())
    assert torch.equal(torch.fx.symbolic_trace(network)(x), network(x))
    assert torch.equal(torch.fx.symbolic_trace(module)(x), module(x))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"groups": 3}, "groups that divide 8 and 8 channels; got 3"),
        ({"out_channels": 6, "groups": 4}, "groups that divide 8 and 6 channels; got 4"),
        ({"offset_groups": 3}, "offset_groups that divide 8 channels; got 3"),
        ({"kernel": 4}, "an odd kernel where padding is open; got 4"),
        ({"padding": -1}, "padding >= 0; got -1"),
        ({"stride": 0}, "stride >= 1; got 0"),
        ({"out_channels": 0}, "out_channels >= 1; got 0"),
    ],
)
def test_wrong_options_are_named(options, rule):
    with pytest.raises(ValueError, match=f"DeformableConv expects {rule}"):
        DeformableConv(8, **options)

"""Gather-excite against its formula, and its options."""

import math

import pytest
import torch
from formulas import batch_norm, check_formula
from timm import layers
from torch import fx
from torch.nn import functional

import foveate
from foveate.attention import GatherExcite, attention_spec
from foveate.attention.place import Place
from recording import fill_
from support import assert_same

MAPS = [(9, 6), (8, 16), (3, 5), (1, 4)]


def windows(x, extent):
    """Means of windows of 2 * extent - 1 pixels around every extent-th one, pixel by pixel."""
    h, w = x.shape[2:]
    rows = []
    for i in range(0, h, extent):
        row = []
        for j in range(0, w, extent):
            inside = x[
                :, :, max(0, i - extent + 1) : i + extent, max(0, j - extent + 1) : j + extent
            ]
            row.append(inside.mean((2, 3)))
        rows.append(torch.stack(row, -1))
    return torch.stack(rows, -2)


def enlarged(small, h, w):
    """Nearest neighbors of an h x w map in a small one."""
    rows = [i * small.shape[2] // h for i in range(h)]
    columns = [j * small.shape[3] // w for j in range(w)]
    return small[:, :, rows][:, :, :, columns]


def formula(weights, x, mode, extent, training=False):
    c, h, w = x.shape[1:]
    small, layer = x, 0
    if mode == "minus":
        small = windows(x, extent) if extent else torch.einsum("nchw->nc", x)[..., None, None]
        small = small if extent else small / (h * w)
    elif extent == 0:
        kernel = weights["layers.0.weight"][:, 0]
        small = torch.einsum("nchw,chw->nc", x, kernel)[..., None, None]
        small, layer = batch_norm(weights, "layers.1", small, training), 2
    else:
        for step in range(int(math.log2(extent))):
            small = small.clamp(min=0) if step else small
            kernel = weights[f"layers.{layer}.weight"]
            small = functional.conv2d(small, kernel, stride=2, padding=1, groups=c)
            small = batch_norm(weights, f"layers.{layer + 1}", small, training)
            layer += 3
        layer -= 1
    if mode == "plus":
        for number in (layer + 1, layer + 3):
            matrix = weights[f"layers.{number}.weight"][:, :, 0, 0]
            small = torch.einsum("nchw,dc->ndhw", small.clamp(min=0), matrix)
            small = small + weights[f"layers.{number}.bias"].view(1, -1, 1, 1)
    return x / (1 + enlarged(-small, h, w).exp())


@pytest.mark.parametrize("size", MAPS)
@pytest.mark.parametrize("extent", [0, 2, 4, 8])
@pytest.mark.parametrize("mode", ["minus", "theta", "plus"])
def test_ge_is_its_formula(mode, extent, size):
    bound = {"map_size": size} if mode != "minus" and extent == 0 else {}
    module = GatherExcite(12, mode, extent, reduction=3, **bound)
    check_formula(module, lambda w, x: formula(w, x, mode, extent), (2, 12, *size))


@pytest.mark.parametrize("extent", [0, 2, 8])
@pytest.mark.parametrize("mode", ["theta", "plus"])
def test_ge_in_training_is_its_formula(mode, extent):
    bound = {"map_size": (9, 6)} if extent == 0 else {}
    module = GatherExcite(12, mode, extent, reduction=3, **bound)
    check_formula(module, lambda w, x: formula(w, x, mode, extent, True), (5, 12, 9, 6), True)


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
def test_ge_without_weights_is_timms(extent):
    theirs = layers.GatherExcite(6, extent=extent, extra_params=False, use_mlp=False)
    x = torch.randn(2, 6, 13, 10, dtype=torch.float64)
    assert_same(GatherExcite(6, extent=extent)(x), theirs(x))


def test_ge_has_the_published_size():
    count = attention_spec("ge").params
    assert [count(c, mode=m) for c in (64, 2048) for m in ("minus",)] == [0, 0]
    # Stage 1 of a ResNet-50: 256 channels, 56 pixels a side.
    theta = 256 * 56**2 + 2 * 256
    assert count(256, mode="theta", map_size=(56, 56)) == theta
    assert count(256, mode="plus", map_size=(56, 56)) == theta + 2 * 256 * 16 + 16 + 256
    assert [count(256, mode="theta", extent=e) for e in (2, 4, 8)] == [2816, 5632, 8448]
    # All sixteen blocks of a ResNet-50, beside the network itself.
    blocks = {256: (3, 56), 512: (4, 28), 1024: (6, 14), 2048: (3, 7)}
    for mode, published in (("theta", 31_106_600), ("plus", 33_637_592)):
        sites = (n * count(c, mode, map_size=(s, s)) for c, (n, s) in blocks.items())
        assert 25_557_032 + sum(sites) == published
    sites = (n * count(c, "theta", 8) for c, (n, _) in blocks.items())
    assert 25_557_032 + sum(sites) == 26_055_464


@pytest.mark.parametrize("mode", ["minus", "theta", "plus"])
@pytest.mark.parametrize("extent", [0, 2, 4, 8])
@pytest.mark.parametrize("channels", [1, 40])
def test_ge_parameter_count_equals_the_formula(mode, extent, channels):
    options = {"mode": mode, "extent": extent}
    if mode != "minus" and extent == 0:
        options["map_size"] = (7, 5)
    module = GatherExcite(channels, **options)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec("ge").params(channels, **options)


def test_ge_starts_as_the_official_network_does():
    module = GatherExcite(512, "plus", map_size=(6, 9))
    kernel, norm, _, down, _, up = module.layers
    assert abs(kernel.weight.std() / (2 / 54) ** 0.5 - 1) < 0.05
    assert norm.momentum == 0.05
    for layer in (down, up):
        assert abs(layer.weight.std() / 0.01 - 1) < 0.05
        assert not layer.bias.any()


def test_ge_asks_its_place_for_the_size_of_the_map_only_where_it_is_bound_to_it():
    spec = attention_spec("ge")
    place = Place(channels=8, size=(14, 10))
    bound = ({"mode": "theta"}, {"mode": "plus", "extent": 0}, {"mode": "plus", "map_size": None})
    for options in bound:
        assert spec.fit(place, options) == {"map_size": (14, 10)}
    free = ({}, {"extent": 4}, {"mode": "theta", "extent": 2})
    for options in (*free, {"mode": "theta", "map_size": (7, 7)}):
        assert spec.fit(place, options) == {}


def test_ge_is_inserted_with_the_size_of_each_map():
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.Conv2d(8, 6, 3))
    example = torch.zeros(1, 3, 32, 24)
    foveate.insert_(net, "ge", ["0", "1"], example=example, mode="plus")
    sizes = [m.map_size for m in net.modules() if isinstance(m, GatherExcite)]
    assert sizes == [(15, 11), (13, 9)]
    net(example.repeat(2, 1, 1, 1)).sum().backward()


def test_ge_bound_to_a_size_refuses_others_by_name():
    module = GatherExcite(6, "theta", map_size=[7, 5]).eval()
    assert module(torch.rand(2, 6, 7, 5)).shape == (2, 6, 7, 5)
    text = r"GatherExcite expects a map of 7x5 pixels; got 5x7; a finite extent, or mode='minus'"
    with pytest.raises(ValueError, match=text):
        module(torch.rand(2, 6, 5, 7))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "both"}, "a known mode; got 'both'"),
        ({"extent": 3}, "a known extent; got 3"),
        ({"reduction": 0}, "reduction >= 1; got 0"),
        ({"mode": "theta"}, r"map_size=\(H, W\) for mode='theta' and extent=0; got None; give it"),
        ({"mode": "plus", "map_size": (7,)}, r"map_size=\(H, W\) .*; got \(7,\)"),
        ({"mode": "plus", "map_size": (7, 0)}, "map_size >= 1; got 0"),
        ({"map_size": (7, 7)}, r"no map_size for mode='minus' and extent=0; got \(7, 7\)"),
    ],
)
def test_ge_names_wrong_options(options, text):
    with pytest.raises(ValueError, match=f"GatherExcite expects {text}"):
        GatherExcite(8, **options)


@pytest.mark.parametrize(
    "options", [{"extent": 4}, {"mode": "plus", "extent": 4}, {"mode": "plus", "map_size": (7, 5)}]
)
def test_ge_can_be_traced(options):
    module = fill_(GatherExcite(6, **options)).eval()
    x = torch.randn(2, 6, 7, 5)
    assert torch.equal(fx.symbolic_trace(module)(x), module(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{"extent": 4}, {"mode": "plus", "extent": 4}, {"mode": "plus", "map_size": (7, 5)}]
)
def test_ge_can_be_compiled_and_exported(options):
    module = fill_(GatherExcite(6, **options)).eval()
    x = torch.randn(3, 6, 7, 5)
    torch.testing.assert_close(torch.compile(module, fullgraph=True)(x), module(x))
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
    exported = torch.export.export(module, (x,), dynamic_shapes=shapes).module()
    torch.testing.assert_close(exported(x[:2]), module(x[:2]))

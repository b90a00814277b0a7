"""The designs that the paper holds against its gate: each is its formula, its options, its cost."""

import pytest
import torch
from formulas import batch_norm, check_formula
from torch.nn import functional

import foveate
from foveate.attention import DAS, attention_spec
from support import assert_same

SHAPE = (2, 10, 4, 5)


def read(z, y, x):
    """Read (N, C, H, W) at positions (N, H', W') in pixels: pixels weighed by their nearness."""
    height, width = z.shape[2:]
    by_row = (1 - (y[..., None] - torch.arange(height)).abs()).clamp(min=0)
    by_column = (1 - (x[..., None] - torch.arange(width)).abs()).clamp(min=0)
    return torch.einsum("nhwi,nhwj,ncij->nchw", by_row, by_column, z)


def grid_of(z):
    """Row and column of every pixel."""
    return torch.meshgrid(*(torch.arange(float(side)) for side in z.shape[2:]), indexing="ij")


def beside(w, at, z):
    """A map, and the map displaced by a 3x3 convolution of it."""
    flow = functional.conv2d(z, w[f"{at}.flow.weight"], w[f"{at}.flow.bias"], padding=1)
    rows, columns = grid_of(z)
    return torch.cat([z, read(z, rows + flow[:, 0], columns + flow[:, 1])], 1)


def deform(w, at, z):
    """A 3x3 convolution, tap by tap, whose taps are displaced and, with 27 maps, weighed."""
    maps = functional.conv2d(z, w[f"{at}.offset.weight"], w[f"{at}.offset.bias"], padding=1)
    rows, columns = grid_of(z)
    out = 0.0
    for tap in range(9):
        y = rows + tap // 3 - 1 + maps[:, 2 * tap]
        seen = read(z, y, columns + tap % 3 - 1 + maps[:, 2 * tap + 1])
        if maps.shape[1] == 27:
            seen = seen / (1 + torch.exp(-maps[:, 18 + tap, None]))
        kernel = w[f"{at}.weight"][:, :, tap // 3, tap % 3]
        out = out + torch.einsum("nchw,oc->nohw", seen, kernel)
    return out


def separable(w, at, z):
    """Each channel on its own by nine shifted products, then the channels of a pixel mixed."""
    own = functional.unfold(z, 3, padding=1).unflatten(1, (z.shape[1], 9)).unflatten(3, z.shape[2:])
    own = torch.einsum("nckhw,ck->nchw", own, w[f"{at}.depthwise.weight"].flatten(1))
    return torch.einsum("nchw,oc->nohw", own, w[f"{at}.pointwise.weight"].flatten(1))


def context(w, x):
    """Squeeze, normalize each channel of each image, GELU."""
    z = separable(w, "layers.squeeze", x)
    z = z - z.mean((2, 3), keepdim=True)
    z = z / (z.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    return z * (1 + torch.erf(z / 2**0.5)) / 2


def layer_norm(w, z, at="norm"):
    z = z - z.mean(1, keepdim=True)
    z = z / (z.square().mean(1, keepdim=True) + 1e-5).sqrt()
    return z * w[f"{at}.weight"][:, None, None] + w[f"{at}.bias"][:, None, None]


def gated(x, z):
    return x / (1 + torch.exp(-z))


def fuse(w, at, z):
    kernel = w[f"{at}.weight"]
    return functional.conv2d(z, kernel, w[f"{at}.bias"], padding=kernel.shape[-1] // 2)


def check(name, formula, training=False, **options):
    """Compare a design of three squeezed channels with its formula."""
    if "alpha" in attention_spec(name).options:
        options["alpha"] = 0.3
    module = foveate.create_attention(name, SHAPE[1], **options)
    counted = sum(weight.numel() for weight in module.parameters())
    assert counted == attention_spec(name).params(SHAPE[1], **options)
    check_formula(module, formula, SHAPE, training)


@pytest.mark.parametrize("kernel", [1, 3])
def test_das_a_is_its_formula(kernel):
    def fused(w, x):
        return fuse(w, "fuse", beside(w, "beside", x))

    check("das_a", fused, fuse_kernel=kernel)
    check("das_a", lambda w, x: gated(x, fused(w, x)), fuse_kernel=kernel, gate=True)


@pytest.mark.parametrize("kernel", [1, 3])
def test_das_b_is_its_formula(kernel):
    def mixed(w, x):
        return fuse(w, "layers.fuse", beside(w, "layers.beside", context(w, x)))

    check("das_b", lambda w, x: gated(x, mixed(w, x)), fuse_kernel=kernel)
    check(
        "das_b",
        lambda w, x: gated(x, layer_norm(w, mixed(w, x))),
        fuse_kernel=kernel,
        norm="layer",
    )


@pytest.mark.parametrize("modulated", [True, False])
def test_das_d_is_its_formula(modulated):
    check(
        "das_d",
        lambda w, x: gated(x, layer_norm(w, deform(w, "layers", x))),
        modulated=modulated,
    )


def test_das_e_is_its_formula():
    def back(w, x):
        kernel = w["layers.back.weight"]
        return functional.conv2d(context(w, x), kernel, padding=kernel.shape[-1] // 2)

    check("das_e", lambda w, x: gated(x, layer_norm(w, separable(w, "layers", x))))
    check("das_e", lambda w, x: gated(x, layer_norm(w, back(w, x))), back="pointwise")
    check("das_e", lambda w, x: gated(x, layer_norm(w, back(w, x))), back="dense3x3")


def test_das_f_is_its_formula():
    def mixed(w, x):
        return separable(w, "layers.back", context(w, x))

    check("das_f", lambda w, x: gated(x, layer_norm(w, mixed(w, x))))


def in_the_trunk(name, mixed, **options):
    """Check both norms of a design in the trunk, with and without the sum."""
    check(name, lambda w, x: layer_norm(w, mixed(w, x)), **options)
    check(name, lambda w, x: x + layer_norm(w, mixed(w, x)), residual=True, **options)
    for training in (True, False):

        def plain(w, x, training=training):
            return batch_norm(w, "norm.0", mixed(w, x), training).clamp(min=0)

        check(name, plain, training, after="batch_relu", **options)


@pytest.mark.parametrize("modulated", [True, False])
def test_das_g_is_its_formula(modulated):
    in_the_trunk("das_g", lambda w, x: deform(w, "layers", x), modulated=modulated)


@pytest.mark.parametrize("modulated", [True, False])
def test_das_h_is_its_formula(modulated):
    def mixed(w, x):
        return deform(w, "layers.deform", context(w, x))

    in_the_trunk("das_h", mixed, modulated=modulated)


def test_das_h_has_the_layers_of_the_gate():
    """Its output, squashed, is the gate of ``das`` with the same weights."""
    gate = DAS(20).double()
    layers = foveate.create_attention("das_h", 20).double()
    with torch.no_grad():
        for weight in gate.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    renamed = {"deform.offset": "offset", "deform": "deform", "squeeze": "squeeze"}
    state = {}
    for key in layers.state_dict():
        if key.startswith("norm."):
            ours = key.replace("norm.", "ln_")
        else:
            ours = key.removeprefix("layers.")
            for theirs, name in renamed.items():
                if ours.startswith(f"{theirs}."):
                    ours = name + ours.removeprefix(theirs)
                    break
        state[key] = gate.state_dict()[ours]
    assert len(state) == len(gate.state_dict())
    layers.load_state_dict(state)
    x = torch.randn(2, 20, 6, 5, dtype=torch.float64)
    assert_same(layers(x).sigmoid(), gate.gate(x))


def test_samples_start_as_the_map_itself():
    from foveate.attention.parts.beside import BesideItself, sample

    x = torch.randn(2, 6, 7, 5)
    both = BesideItself(6)(x)
    assert_same(both[:, 6:], both[:, :6])
    flow = torch.zeros(2, 2, 7, 5)
    flow[:, 0] = 1.0  # one pixel down; below the map is nothing
    assert_same(sample(x, flow)[:, :, :-1], x[:, :, 1:])
    assert not sample(x, flow)[:, :, -1].any()


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("das_a", {"fuse_kernel": 2}, "FusedSample expects a known fuse_kernel; got 2"),
        ("das_b", {"fuse_kernel": 5}, "SampleGate expects a known fuse_kernel; got 5"),
        ("das_b", {"norm": "batch"}, "SampleGate expects a known norm; got 'batch'"),
        ("das_b", {"alpha": 0}, r"SampleGate expects alpha in \(0, 1\]; got 0"),
        ("das_e", {"back": "dense"}, "SeparableGate expects a known back; .*'dense3x3'"),
        ("das_e", {"alpha": 2}, r"SeparableGate expects alpha in \(0, 1\]; got 2"),
        ("das_f", {"alpha": -1.0}, r"TwiceSeparableGate expects alpha in \(0, 1\]; got -1"),
        ("das_g", {"after": "batch"}, "DeformableLayer expects a known after; got 'batch'"),
        ("das_h", {"after": "none"}, "GateLayers expects a known after; got 'none'"),
        ("das_h", {"alpha": 1.5}, r"GateLayers expects alpha in \(0, 1\]; got 1.5"),
        ("das_d", {"alpha": 0.2}, "das_d expects a known option; got 'alpha'"),
    ],
)
def test_bad_options_are_named(name, options, text):
    with pytest.raises(ValueError, match=text):
        foveate.create_attention(name, 12, **options)


def test_a_way_back_needs_two_pixels_and_a_single_layer_does_not():
    pixel = torch.rand(1, 6, 1, 1)
    assert foveate.create_attention("das_e", 6)(pixel).shape == pixel.shape
    with pytest.raises(ValueError, match=r"SeparableGate expects .*2 pixels; got 1x1"):
        foveate.create_attention("das_e", 6, back="pointwise")(pixel)


# In a network with one at the end of every stage: parameters in millions and multiply-accumulates
# in billions, first without the deformable kernel, then with everything counted, to the digits.
COSTS = {
    ("das_h", "resnet18"): ("11.816 1.857", "12.439 1.947"),
    ("das_h", "resnet50"): ("26.897 4.391", "36.904 5.866"),
    ("das_d", "resnet18"): ("11.925 1.917", "15.058 2.379"),
    ("das_d", "resnet50"): ("26.498 4.506", "76.633 11.904"),
    ("das_g", "resnet18"): ("11.925 1.917", "15.058 2.379"),
    ("das_g", "resnet50"): ("26.498 4.506", "76.633 11.904"),
    ("das_d modulated=False", "resnet18"): ("11.847 1.887", "14.980 2.349"),
    ("das_d modulated=False", "resnet50"): ("26.187 4.384", "76.322 11.782"),
    ("das_e", "resnet18"): ("12.048 1.880",) * 2,
    ("das_e", "resnet50"): ("31.170 4.975",) * 2,
    ("das_e back=pointwise", "resnet18"): ("11.839 1.849",) * 2,
    ("das_e back=pointwise", "resnet50"): ("27.823 4.482",) * 2,
    ("das_e back=dense3x3", "resnet18"): ("12.393 1.929",) * 2,
    ("das_e back=dense3x3", "resnet50"): ("36.717 5.793",) * 2,
    ("das_f", "resnet18"): ("11.840 1.850",) * 2,
    ("das_f", "resnet50"): ("27.830 4.484",) * 2,
    ("das_a", "resnet18"): ("12.40 1.93",) * 2,
    ("das_a", "resnet50"): ("36.77 5.81",) * 2,
    ("das_b", "resnet18"): ("11.91 1.86",) * 2,
    ("das_b", "resnet50"): ("28.94 4.64",) * 2,
}


@pytest.mark.parametrize(("design", "network"), COSTS)
def test_networks_of_a_design_cost_what_is_known(design, network):
    pytest.importorskip("timm")
    name, *given = design.split()
    options = dict(one.split("=") for one in given)
    if "modulated" in options:
        options["modulated"] = False
    with torch.device("meta"):
        cost = foveate.accounting.count(foveate.create_model(network, name, **options))
    digits = 2 if name in ("das_a", "das_b") else 3
    for want, params, macs in (
        (COSTS[design, network][0], cost.params_published, cost.macs_published),
        (COSTS[design, network][1], cost.params, cost.macs),
    ):
        assert f"{params / 1e6:.{digits}f} {macs / 1e9:.{digits}f}" == want

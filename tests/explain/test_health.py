"""What a health report says of gates whose state is known."""

import dataclasses
import json

import pytest
import torch
from torch import nn

import foveate
from foveate.attention import attention_spec, list_attentions
from foveate.explain.health import GateHealth
from foveate.explain.receptive import receptive_fields
from foveate.explain.sampling import gate_maps
from support import TinyResNet


class Net(nn.Module):
    """One stage: a 16x16 image becomes an 8x8 map of its own pixels, which a gate weighs."""

    def __init__(self, channels=8):
        super().__init__()
        self.stage = nn.Conv2d(3, channels, 2, stride=2)
        self.head = nn.Linear(channels, 2)

    def forward(self, x):
        return self.head(self.stage(x).mean((2, 3)))


class Held(nn.Module):
    """A gate that holds what it is told."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def gate(self, x):
        weights = self.weights(x) if callable(self.weights) else self.weights
        return torch.as_tensor(weights, dtype=x.dtype).expand_as(x)

    def forward(self, x):
        return x * self.gate(x)


def net_with(name="das", module=None, start="paper", **options):
    torch.manual_seed(0)
    net = Net().eval()
    foveate.insert_(net, name, ["stage"], start=start, example=torch.rand(1, 3, 16, 16), **options)
    if module is not None:
        net.stage.foveate.attention = module
    return net


def health_of(net, *batches):
    health = GateHealth()
    for images in batches or (torch.rand(4, 3, 16, 16),):
        health.update(net, images)
    return health.report()


@pytest.mark.parametrize(
    ("weight", "verdict", "share", "change"),
    [
        (0.0, ("dead", "saturated"), (1.0, 0.0), 1.0),
        (1.0, ("dead", "saturated"), (0.0, 1.0), 0.0),
        (0.5, ("dead",), (0.0, 0.0), 0.5),
    ],
)
def test_gates_held_at_one_value_are_dead(weight, verdict, share, change):
    (site,) = health_of(net_with(module=Held(weight)))
    assert site.verdict == verdict
    assert (site.shut, site.open) == share
    assert (site.mean, site.spread, site.entropy) == (weight, 0.0, 0.0)
    assert site.change == pytest.approx(change) and site.effect == site.change
    assert site.constant_places and site.constant_images
    assert site.dead_channels == (8 if weight == 0 else 0) and site.channels == 8
    assert site.offset_mean is None


def test_halves_have_one_bit_and_a_spread_of_one_half():
    weights = torch.zeros(1, 8, 8, 8)
    weights[..., 4:] = 1.0
    (site,) = health_of(net_with(module=Held(weights)))
    assert site.verdict == ("saturated",)
    assert site.entropy == pytest.approx(1.0)
    assert site.spread == pytest.approx(0.5) and site.spread_places == pytest.approx(0.5)
    assert site.spread_images == 0.0 and not site.constant_places and site.constant_images
    assert (site.shut, site.open) == (0.5, 0.5) and site.dead_channels == 0


def test_what_varies_over_images_alone_is_alive():
    shades = torch.tensor([0.25, 0.5, 0.75]).view(3, 1, 1, 1)

    def weigh(x):
        return torch.cat([torch.zeros(len(x), 2, 8, 8), shades[: len(x)].expand(-1, 6, 8, 8)], 1)

    (site,) = health_of(net_with(module=Held(weigh)), torch.rand(3, 3, 16, 16))
    assert site.verdict == ("alive",)
    assert site.constant_places and site.constant_images is False
    want = torch.tensor([0.25, 0.5, 0.75]).std(correction=0) * 0.75**0.5
    assert site.spread_images == pytest.approx(float(want))
    assert site.dead_channels == 2


def test_of_one_image_nothing_is_said_about_images():
    (site,) = health_of(net_with(module=Held(0.5)), torch.rand(1, 3, 16, 16))
    assert site.spread_images is None and site.constant_images is None
    assert site.verdict == ("alive",)


def test_batches_add_up_and_the_network_is_left_alone():
    net = net_with()
    with torch.no_grad():
        net.stage.foveate.attention.offset.weight.normal_(0, 0.1)
    net.train()
    net.stage.eval()
    images = torch.rand(6, 3, 16, 16)
    modes = [module.training for module in net.modules()]
    hooks = [(*module._forward_hooks, *module._forward_pre_hooks) for module in net.modules()]
    (whole,) = health_of(net, images)
    (parts,) = health_of(net, images[:1], images[1:4], images[4:])
    for field in dataclasses.fields(whole):
        ours, theirs = getattr(whole, field.name), getattr(parts, field.name)
        same = pytest.approx(ours, rel=1e-5) if isinstance(ours, float) else ours
        assert theirs == same, field.name
    assert [module.training for module in net.modules()] == modes
    assert [
        (*module._forward_hooks, *module._forward_pre_hooks) for module in net.modules()
    ] == hooks


def test_the_gate_and_the_change_are_those_of_the_formula():
    net = net_with("das")
    images = torch.rand(3, 3, 16, 16)
    (site,) = health_of(net, images)
    with torch.no_grad():
        x = net.get_submodule("stage")._conv_forward(images, net.stage.weight, net.stage.bias)
        gate = net.stage.foveate.attention.gate(x)
    assert site.gate == "method" and site.mean == pytest.approx(float(gate.mean()), rel=1e-5)
    assert site.spread == pytest.approx(float(gate.std(correction=0)), rel=1e-4)
    assert site.low == pytest.approx(float(gate.min())) and site.high == float(gate.max())
    change = ((gate - 1) * x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
    assert site.change == pytest.approx(float(change.mean()), rel=1e-5)


def test_offsets_are_counted_in_cells_and_pixels():
    net = net_with("das")
    das = net.stage.foveate.attention
    (site,) = health_of(net)
    assert "offsets unused" in site.verdict and "alive" in site.verdict
    assert (site.offset_mean, site.offset_p95) == (0.0, 0.0)
    # Of 8x8 places, the taps above the first row and beside the first column read nothing.
    edge = (3 * 8 * 4 - 4) / (9 * 64)
    assert site.outside == pytest.approx(edge) == site.outside_regular
    with torch.no_grad():
        das.offset.bias[0:18:2] = 3.0  # every tap, 3 cells down and 4 to the left
        das.offset.bias[1:18:2] = -4.0
    (site,) = health_of(net)
    assert "offsets unused" not in site.verdict
    assert site.offset_mean == pytest.approx(5.0) and site.offset_mean_px == pytest.approx(10.0)
    assert site.offset_p95 == pytest.approx(5.0, abs=1 / 32)
    assert site.offset_p95_px == pytest.approx(10.0, abs=1 / 32)
    rows = torch.arange(8)[:, None] + torch.tensor([-1, 0, 1]) + 3
    columns = torch.arange(8)[:, None] + torch.tensor([-1, 0, 1]) - 4
    inside = (rows < 8).sum() * (columns >= 0).sum()
    assert site.outside == pytest.approx(1 - int(inside) / (9 * 64))


def test_an_identity_start_is_closed_until_it_opens():
    net = net_with("se", start="identity")
    (site,) = health_of(net)
    assert (site.openness, site.effect) == (0.0, 0.0) and site.change > 0
    assert "closed" in site.verdict and "alive" not in site.verdict
    foveate.surgery.set_openness_(net, 0.5)
    (site,) = health_of(net)
    assert site.effect == pytest.approx(site.change / 2) and site.verdict == ("alive",)


def test_weights_without_a_method_are_the_ratio():
    net = net_with("cbam")
    images = torch.rand(3, 3, 16, 16)
    (site,) = health_of(net, images)
    with torch.no_grad():
        x = net.stage._conv_forward(images, net.stage.weight, net.stage.bias)
        ratio = net.stage.foveate.attention(x) / x
    assert site.gate == "ratio" and site.mean == pytest.approx(float(ratio.mean()), rel=1e-2)
    assert site.shut is not None and 0 < site.mean < 1


def test_several_gates_in_one_are_seen_by_their_ratio():
    torch.manual_seed(0)
    net = TinyResNet(width=8).eval()
    foveate.insert_(net, "gsop", ["layer1"], mode="average", example=torch.rand(1, 3, 16, 16))
    images = torch.rand(2, 3, 16, 16)
    (site,) = health_of(net, images)
    assert site.gate == "ratio" and 0 < site.mean < 2
    assert gate_maps(net, images) == []
    (field,) = receptive_fields(net, images, torch.zeros(2, 2))
    assert field.of == "output"


def test_numbers_that_are_none_are_named():
    (site,) = health_of(net_with(module=Held(float("nan"))))
    assert "not finite" in site.verdict and "alive" not in site.verdict
    assert site.mean is None and site.gate is None


def test_another_network_is_refused_and_a_plain_one_has_no_report():
    health = GateHealth()
    health.update(net_with(), torch.rand(1, 3, 16, 16))
    with pytest.raises(ValueError, match="one GateHealth each"):
        health.update(Net(), torch.rand(1, 3, 16, 16))
    assert health_of(Net()) == []


@pytest.mark.parametrize("name", list_attentions())
def test_every_attention_of_the_zoo_has_a_report(name):
    torch.manual_seed(0)
    net = TinyResNet(width=8, stages=4).train()
    spec = attention_spec(name)
    foveate.insert_(net, name, example=torch.rand(2, 3, 64, 64))
    report = health_of(net, torch.rand(2, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert report and len({site.site for site in report}) == len(report)
    for site in report:
        json.dumps(dataclasses.asdict(site), allow_nan=False)
        assert site.images == 3 and site.attention == spec.name
        assert site.change is not None and site.change >= 0
        assert "not finite" not in site.verdict
        assert (site.gate == "method") == hasattr(spec.factory, "gate")
        assert (site.offset_mean is not None) == (name in ("das", "das_lite", "dcn", "dcnv2"))
        if site.gate and site.shut is not None:
            assert 0 <= site.low <= site.mean <= site.high <= 1

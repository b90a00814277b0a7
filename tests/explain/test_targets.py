"""Maps by name: stages, and both sides of gates whose Grad-CAM is known by hand."""

import pytest
import torch
from torch import nn

import foveate
from foveate.explain import cam_targets, grad_cam
from foveate.explain.grad_cam import normalize

pytest.importorskip("captum")


class Ramp(nn.Module):
    """A gate that is known: it grows from left to right, the same for all images."""

    def __init__(self, channels):
        super().__init__()
        self.fails = False

    def forward(self, x):
        if self.fails and x.requires_grad:
            raise ArithmeticError("on purpose")
        return x * torch.linspace(0.0, 1.0, x.shape[-1], dtype=x.dtype)


class Sum(nn.Module):
    """Score c is the mean over places of weight[c] @ map."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.maps.weight.copy_(torch.eye(2, 3)[:, :, None, None])
            self.head.weight.copy_(torch.tensor([[1.0, 0.5], [0.0, 2.0]]))

    def forward(self, x):
        return self.head(self.maps(x).mean((2, 3)))


def gated(start="paper", openness=0.0):
    net = Sum()
    foveate.insert_(net, Ramp, ["maps"], start=start, example=torch.rand(1, 3, 4, 6))
    if start == "identity":
        foveate.surgery.set_openness_(net, openness)
    return net.eval()


@pytest.mark.parametrize(("start", "openness"), [("paper", 1.0), ("identity", 0.25)])
def test_before_and_after_a_gate_are_exact(start, openness):
    net, images = gated(start, openness), torch.rand(2, 3, 4, 6)
    ramp = 1 + openness * (torch.linspace(0, 1, 6) - 1)
    score = images[:, 0] * 1.0 + images[:, 1] * 0.5
    after = normalize(score * ramp)[0]
    # The gradient at the input is averaged over places, the skip of the identity start included.
    before = score * ramp.mean() / 24
    got = {side: grad_cam(net, images, f"maps:{side}", 0) for side in ("before", "after")}
    torch.testing.assert_close(got["after"].maps, after)
    torch.testing.assert_close(got["before"].maps, normalize(before)[0])
    torch.testing.assert_close(got["before"].raw, before)
    torch.testing.assert_close(got["after"].raw, score * ramp / 24)
    assert (got["before"].maps - got["after"].maps).abs().max() > 0.1


def test_after_a_gate_is_the_output_of_its_place():
    net, images = gated(), torch.rand(2, 3, 4, 6)
    torch.testing.assert_close(
        grad_cam(net, images, "maps:after", 1).maps, grad_cam(net, images, "maps", 1).maps
    )


def test_a_gate_is_left_as_it_was_when_it_fails():
    net = gated()
    (gate,) = foveate.surgery.inserted(net).values()
    images = torch.rand(1, 3, 4, 6)
    before, keys = net(images), {name: set(vars(module)) for name, module in net.named_modules()}
    gate.fails = True
    with pytest.raises(ArithmeticError, match="on purpose"):
        grad_cam(net, images, "maps:before", 0)
    gate.fails = False
    assert {name: set(vars(module)) for name, module in net.named_modules()} == keys
    assert torch.equal(net(images), before)
    grad_cam(net, images, "maps:before", 0)
    assert {name: set(vars(module)) for name, module in net.named_modules()} == keys


def test_stages_and_sides_have_names():
    net = foveate.create_model("resnet10t", "das", num_classes=3, stem="small", width=0.25)
    found = cam_targets(net, torch.rand(1, 3, 32, 32))
    stages = [f"stage{i}" for i in (1, 2, 3, 4)]
    sides = [f"stage{i}:{side}" for i in (1, 2, 3, 4) for side in ("before", "after")]
    assert list(found)[:12] == stages + sides
    assert {f"layer{i}:before" for i in (1, 2, 3, 4)} <= set(found)
    plain = foveate.create_model("resnet10t", num_classes=3, stem="small", width=0.25)
    assert list(cam_targets(plain, torch.rand(1, 3, 32, 32))) == stages


@pytest.mark.parametrize("name", ["se", "cbam", "dcn"])
def test_every_site_can_be_explained(name):
    net = foveate.create_model("resnet10t", name, num_classes=3, stem="small", width=0.25).eval()
    images = torch.rand(1, 3, 32, 32)
    for target in cam_targets(net, images):
        found = grad_cam(net, images, target, 1)
        assert found.maps.shape == (1, 32, 32) and torch.isfinite(found.maps).all()


def test_an_unknown_name_lists_the_near_ones():
    net = foveate.create_model("resnet10t", "das", num_classes=3, stem="small", width=0.25)
    with pytest.raises(ValueError, match="did you mean 'stage4"):
        grad_cam(net, torch.rand(1, 3, 32, 32), "stage4:beforee")

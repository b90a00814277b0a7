"""Grad-CAM against a network whose maps are known exactly, and the traces it must not leave."""

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import foveate
from foveate.core import MissingExtraError
from foveate.explain import grad_cam
from foveate.explain.grad_cam import normalize

pytest.importorskip("captum")


class Known(nn.Module):
    """Scores are weighted sums of the channel means of a map that is a fixed function of x.

    d score_c / d A_k = weight[c, k] / (h * w) everywhere, so the Grad-CAM map of class c is
    relu(sum_k weight[c, k] * A_k) / (h * w): exact, by hand.
    """

    def __init__(self, in_place=False):
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 2, stride=2, bias=False)
        self.after = nn.ReLU(inplace=in_place)
        self.head = nn.Linear(2, 3, bias=False)
        with torch.no_grad():
            self.maps.weight.zero_()
            self.maps.weight[0, 0, 0, 0] = 1.0  # red of the upper left pixel
            self.maps.weight[1, 1, 0, 0] = -1.0  # minus green of it
            self.head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0], [2.0, 1.0]]))

    def forward(self, x):
        return self.head(self.maps(x).mean((2, 3)))


class Rectified(Known):
    def forward(self, x):
        return self.head(self.after(self.maps(x)).mean((2, 3)))


def by_hand(images, weights):
    maps = torch.stack([images[:, 0, ::2, ::2], -images[:, 1, ::2, ::2]], 1)
    raw = torch.einsum("k,nkhw->nhw", torch.tensor(weights), maps).clamp_min(0)
    low, high = raw.amin((1, 2), keepdim=True), raw.amax((1, 2), keepdim=True)
    small = (raw - low) / (high - low)
    return F.interpolate(small[:, None], images.shape[-2:], mode="bilinear", align_corners=False)[
        :, 0
    ]


@pytest.mark.parametrize(
    ("chosen", "weights"), [(0, [1.0, 0.0]), (1, [0.0, -1.0]), (2, [2.0, 1.0])]
)
def test_maps_are_the_exact_ones(chosen, weights):
    images = torch.rand(3, 3, 8, 6)
    found = grad_cam(Known(), images, "maps", chosen)
    torch.testing.assert_close(found.maps, by_hand(images, weights), rtol=1e-5, atol=1e-6)
    assert found.maps.std() > 0.1
    assert not found.constant.any()
    assert found.classes.tolist() == [chosen] * 3


def test_each_image_has_its_own_class_and_does_not_touch_its_neighbors():
    images = torch.rand(2, 3, 8, 8)
    both = grad_cam(Known(), images, "maps", [0, 1]).maps
    torch.testing.assert_close(both[0], grad_cam(Known(), images[:1], "maps", 0).maps[0])
    torch.testing.assert_close(both[1], grad_cam(Known(), images[1:], "maps", 1).maps[0])


def test_the_default_class_is_the_predicted_one():
    images, net = torch.rand(4, 3, 8, 8), Known()
    found = grad_cam(net, images, "maps")
    assert found.classes.tolist() == net(images).argmax(1).tolist()


def test_an_in_place_layer_behind_the_target_does_not_overwrite_what_is_explained():
    images = torch.rand(2, 3, 8, 8) + 0.1
    # Class 1 reads channel 1, which is negative: the target sees its activation, ReLU kills it.
    want = grad_cam(Rectified(in_place=False), images, "maps", 0)
    got = grad_cam(Rectified(in_place=True), images, "maps", 0)
    torch.testing.assert_close(got.maps, want.maps)
    torch.testing.assert_close(got.maps, by_hand(images, [1.0, 0.0]), rtol=1e-5, atol=1e-6)


def test_constant_maps_are_zero_and_flagged():
    images = torch.rand(2, 3, 8, 8)
    images[1] = 0.5
    found = grad_cam(Known(), images, "maps", 0)
    assert found.constant.tolist() == [False, True]
    assert found.maps[1].abs().max() == 0
    assert found.maps[0].max() > 0.5


def test_normalize_flags_what_is_not_finite_and_what_is_rounding():
    raw = torch.ones(3, 2, 2)
    raw[0, 0, 0] += 1e-7
    raw[1, 0, 0] = float("nan")
    raw[2, 0, 0] = 3.0
    maps, constant = normalize(raw)
    assert constant.tolist() == [True, True, False]
    assert maps.sum() == 1
    assert maps[2, 0, 0] == 1


def states(model):
    return [
        (m.training, getattr(m, "inplace", None), list(m._forward_hooks), list(m._backward_hooks))
        for m in model.modules()
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(fails):
    net = Rectified(in_place=True).train()
    net.maps.eval()
    net.maps.weight.requires_grad_(False)
    net.head.weight.grad = torch.full_like(net.head.weight, 7.0)
    calls = []

    def hook(module, inputs, output):
        calls.append(len(calls))
        if fails and len(calls) == 2:  # The first call finds the classes, the second explains.
            raise ArithmeticError("on purpose")

    net.head.register_forward_hook(hook)
    images = torch.rand(2, 3, 8, 8)
    before, copy, weights = states(net), images.clone(), net.maps.weight.clone()
    if fails:
        with pytest.raises(ArithmeticError, match="on purpose"):
            grad_cam(net, images, "maps", 0)
    else:
        grad_cam(net, images, "maps", 0)
    assert len(calls) >= 2
    assert states(net) == before
    assert net.training and not net.maps.training
    assert not net.maps.weight.requires_grad and net.maps.weight.grad is None
    assert net.head.weight.requires_grad
    assert (net.head.weight.grad == 7.0).all()
    assert not images.requires_grad
    assert torch.equal(images, copy) and torch.equal(net.maps.weight, weights)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off_and_all_is_frozen(mode):
    net = Known().requires_grad_(False)
    images = torch.rand(2, 3, 8, 8)
    with mode():
        found = grad_cam(net, images, "maps", 2)
    torch.testing.assert_close(found.maps, by_hand(images, [2.0, 1.0]), rtol=1e-5, atol=1e-6)


def test_the_default_target_is_the_last_stage_with_its_gate():
    net = foveate.create_model("resnet10t", "das", num_classes=3, stem="small", width=0.25).eval()
    with torch.no_grad():
        net.fc.weight.abs_()  # Every channel speaks for the class, so no map is empty.
    images = torch.rand(2, 3, 32, 32)
    kept = []
    site = list(foveate.surgery.inserted(net))[-1]
    handle = net.get_submodule(site).register_forward_hook(lambda m, i, out: kept.append(out))
    kept.clear()
    found = grad_cam(net, images, classes=1)
    handle.remove()
    leaf = kept[-1].detach().requires_grad_()  # what the head really reads: after the gate
    weights = torch.autograd.grad(net.forward_head(leaf)[:, 1].sum(), leaf)[0]
    raw = (weights.mean((2, 3), keepdim=True) * leaf).sum(1).clamp_min(0).detach()
    small, constant = normalize(raw)
    want = F.interpolate(small[:, None], (32, 32), mode="bilinear", align_corners=False)[:, 0]
    assert constant.tolist() == found.constant.tolist() and not constant.all()
    torch.testing.assert_close(found.maps, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "mapps"}, "did you mean 'maps'"),
        ({"target": "head"}, "one map"),
        ({"target": "after"}, "depend on"),
        ({"target": "maps", "classes": 3}, "classes from 0 to 2"),
        ({"target": "maps", "classes": [0, 1, 2]}, "one class, or 2"),
        ({"target": "maps", "images": torch.rand(3, 8, 8)}, r"\(N, 3, H, W\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    arguments = {"images": torch.rand(2, 3, 8, 8), "classes": 0, **arguments}
    with pytest.raises(ValueError, match=words):
        grad_cam(Known(), **arguments)


def test_an_empty_batch_gives_no_maps():
    found = grad_cam(Known(), torch.rand(0, 3, 8, 8), "maps")
    assert found.maps.shape == (0, 8, 8) and found.classes.shape == (0,)


def test_without_captum_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"foveate\[explain\]"):
        grad_cam(Known(), torch.rand(1, 3, 8, 8), "maps")

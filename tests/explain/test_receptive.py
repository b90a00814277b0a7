"""Receptive fields of networks whose fields can be written down."""

import math

import pytest
import torch
from torch import nn

import foveate
from foveate.explain.receptive import receptive_fields, receptive_grid
from support import TinyResNet


class Passing(nn.Module):
    """A gate that is what it sees, times a number per channel."""

    def __init__(self, *scales):
        super().__init__()
        self.scales = torch.tensor(scales).view(-1, 1, 1)

    def gate(self, x):
        return x * self.scales

    def forward(self, x):
        return x * self.gate(x)


class Stack(nn.Module):
    """3x3 convolutions of ones in a row, channel by channel, and a gate at their end."""

    def __init__(self, depth, scales=(1.0,)):
        super().__init__()
        wide = len(scales)
        first = nn.Conv2d(1, wide, 3, padding=1, bias=False)
        rest = [
            nn.Conv2d(wide, wide, 3, padding=1, bias=False, groups=wide) for _ in range(depth - 1)
        ]
        self.stage = nn.Sequential(first, *rest)
        for conv in self.stage:
            nn.init.ones_(conv.weight)
        foveate.insert_(self, "das", ["stage"], example=torch.rand(1, 1, 15, 15))
        (self.holder,) = (m for m in self.modules() if hasattr(m, "attention_name"))
        self.holder.attention = Passing(*scales)

    def forward(self, x):
        return self.stage(x)


def counted(depth):
    """How many ways lead from a pixel to the center, by distance: powers of (1, 1, 1)."""
    ways = torch.ones(1)
    for _ in range(depth):
        ways = nn.functional.conv1d(ways[None, None], torch.ones(1, 1, 3), padding=2)[0, 0]
    return ways


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_stack_of_convolutions_has_the_field_of_its_powers(depth):
    images = torch.rand(2, 1, 15, 15)
    where = torch.tensor([[7.0, 7.0], [6.0, 8.0]])
    (field,) = receptive_fields(Stack(depth), images, where)
    ways = counted(depth)
    want = torch.zeros(2, 15, 15)
    for row, (y, x) in enumerate(where.long().tolist()):
        box = (slice(y - depth, y + depth + 1), slice(x - depth, x + depth + 1))
        want[(row, *box)] = torch.outer(ways, ways) / 9**depth
    torch.testing.assert_close(field.maps, want)
    # Each 3-tap step has a variance of 2/3 along each axis, and variances add up.
    torch.testing.assert_close(field.radius, torch.full((2,), math.sqrt(2 * depth * 2 / 3)))
    assert field.extent.tolist() == [[2 * depth + 1] * 2] * 2
    torch.testing.assert_close(field.center, where)
    torch.testing.assert_close(field.query, where)
    assert field.of == "gate" and field.undeformed is None
    if depth == 1:
        torch.testing.assert_close(field.share, torch.full((2,), 9 / 225))


def test_a_corner_sees_less_and_positions_fall_into_cells():
    (field,) = receptive_fields(Stack(1), torch.rand(1, 1, 15, 15), torch.zeros(1, 2))
    assert field.extent.tolist() == [[2, 2]]
    torch.testing.assert_close(field.maps[0, :2, :2], torch.full((2, 2), 0.25))
    torch.testing.assert_close(field.share, torch.tensor([4 / 225]))


def test_channels_do_not_cancel():
    net = Stack(1, scales=(1.0, -1.0))
    images, where = torch.rand(1, 1, 15, 15), torch.full((1, 2), 7.0)
    (exact,) = receptive_fields(net, images, where, probes=None)
    torch.testing.assert_close(exact.maps[0, 6:9, 6:9], torch.full((3, 3), 1 / 9))
    assert exact.share[0] == pytest.approx(9 / 225)


def test_random_signs_estimate_what_single_channels_give():
    torch.manual_seed(0)
    net = TinyResNet(width=8).eval()
    foveate.insert_(net, "das", example=torch.rand(1, 3, 32, 32))
    images, where = torch.rand(1, 3, 32, 32), torch.full((1, 2), 12.0)
    for exact, estimated in zip(
        receptive_fields(net, images, where, probes=None),
        receptive_fields(net, images, where, probes=64),
        strict=True,
    ):
        distance = float((exact.maps - estimated.maps).abs().sum() / 2)
        assert distance < 0.1
        assert estimated.radius[0] == pytest.approx(float(exact.radius[0]), rel=0.05)


def test_offsets_widen_the_field_and_the_regular_grid_does_not_know():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)).eval()
    foveate.insert_(net, "das", ["0"], norm_before="none", example=torch.rand(1, 3, 21, 21))
    (das,) = (m for m in net.modules() if isinstance(m, foveate.attention.DAS))
    images, where = torch.rand(1, 3, 21, 21), torch.full((1, 2), 10.0)
    (still,) = receptive_fields(net, images, where)
    torch.testing.assert_close(still.undeformed, still.radius)
    # 1x1, a depthwise 3x3 and the deformable 3x3: five pixels wide.
    assert still.extent.tolist() == [[5, 5]]
    with torch.no_grad():
        das.offset.bias[0], das.offset.bias[1] = -4.0, -4.0  # the first tap, up and left
    (moved,) = receptive_fields(net, images, where)
    torch.testing.assert_close(moved.undeformed, still.radius)
    assert moved.radius[0] > still.radius[0] + 1
    assert moved.extent.tolist() == [[5 + 4, 5 + 4]]
    assert (moved.center < still.center - 0.2).all()


def test_a_frozen_network_without_gradients_is_left_as_it_was():
    net = Stack(2).train()
    for weight in net.parameters():
        weight.requires_grad_(False)
    modes = [module.training for module in net.modules()]
    hooks = [(*m._forward_hooks, *m._forward_pre_hooks) for m in net.modules()]
    images = torch.rand(1, 1, 15, 15)
    with torch.inference_mode():
        (field,) = receptive_fields(net, images, torch.full((1, 2), 7.0))
    assert field.extent.tolist() == [[5, 5]]
    assert [module.training for module in net.modules()] == modes
    assert [(*m._forward_hooks, *m._forward_pre_hooks) for m in net.modules()] == hooks
    assert all(weight.grad is None for weight in net.parameters())


def test_a_gate_that_sees_nothing_has_no_radius():
    (field,) = receptive_fields(Stack(1, (0.0,)), torch.rand(1, 1, 15, 15), torch.zeros(1, 2))
    assert not field.maps.any() and field.extent.tolist() == [[0, 0]]
    assert field.radius.isnan().all() and field.share.isnan().all() and field.center.isnan().all()


def test_attentions_without_a_gate_show_their_output():
    torch.manual_seed(0)
    net = TinyResNet().eval()
    foveate.insert_(net, "cbam", ["layer1"], example=torch.rand(1, 3, 16, 16))
    (field,) = receptive_fields(net, torch.rand(2, 3, 16, 16), torch.full((2, 2), 7.0))
    assert field.of == "output" and field.site == "layer1"
    torch.testing.assert_close(field.maps.sum((1, 2)), torch.ones(2))


def test_a_grid_is_the_same_as_its_places():
    net, images = Stack(2), torch.rand(2, 1, 15, 15)
    places, ((site, maps),) = receptive_grid(net, images, 3)
    assert site == "stage" and maps.shape == (2, 9, 15, 15)
    assert places.tolist() == [[y, x] for y in (2.0, 7.0, 12.0) for x in (2.0, 7.0, 12.0)]
    (field,) = receptive_fields(net, images, places[5].expand(2, 2))
    torch.testing.assert_close(maps[:, 5] / maps[:, 5].sum((1, 2), keepdim=True), field.maps)


@pytest.mark.parametrize(
    ("where", "words"),
    [(torch.zeros(3, 2), r"\(1, 2\)"), (torch.full((1, 2), 15.0), "inside the")],
)
def test_wrong_positions_are_named(where, words):
    with pytest.raises(ValueError, match=words):
        receptive_fields(Stack(1), torch.rand(1, 1, 15, 15), where)

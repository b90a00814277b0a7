"""Sampling points in image pixels, by hand."""

import pytest
import torch
from torch import nn

import foveate
from foveate.explain import gate_maps, sampling_points
from foveate.explain.sampling import site_fields, strongest, to_image
from support import TinyResNet


class Net(nn.Module):
    """One stage: a 16x16 image becomes an 8x8 map, which a gate weighs."""

    def __init__(self):
        super().__init__()
        self.stage = nn.Conv2d(3, 8, 2, stride=2)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.stage(x).mean((2, 3)))


def gated(name="das", **options):
    net = Net()
    example = torch.rand(1, 3, 16, 16)
    foveate.insert_(net, name, ["stage"], example=example, **options)
    return net.eval()


def test_pixels_of_a_map_lie_in_the_middle_of_what_they_cover():
    points = torch.tensor([[0.0, 0.0], [3.0, 7.0], [-1.0, 0.5]])
    want = torch.tensor([[0.5, 1.5], [6.5, 29.5], [-1.5, 3.5]])
    torch.testing.assert_close(to_image(points, (8, 8), (16, 32)), want)


def test_strongest_names_row_and_column():
    maps = torch.zeros(2, 4, 8)
    maps[0, 1, 6], maps[1, 3, 0] = 1.0, 1.0
    assert strongest(maps, (8, 8)).tolist() == [[2.5, 6.0], [6.5, 0.0]]


def test_fresh_gates_sample_the_regular_grid_and_shifts_show():
    net = gated()
    images = torch.rand(2, 3, 16, 16)
    where = torch.tensor([[6.0, 11.0], [0.0, 15.0]])
    (site,) = sampling_points(net, images, where)
    assert site.map_size == (8, 8)
    # Pixels 6 and 11 lie in cells 3 and 5, whose centers are 6.5 and 10.5.
    assert site.query.tolist() == [[6.5, 10.5], [0.5, 14.5]]
    steps = torch.tensor([[y, x] for y in (-2.0, 0.0, 2.0) for x in (-2.0, 0.0, 2.0)])
    torch.testing.assert_close(site.points, site.query[:, None] + steps)
    torch.testing.assert_close(site.points, site.regular)
    # A bias of the offsets, (y, x) per tap, moves tap 1 by 1.5 map pixels down and 0.25 left.
    (das,) = (m for m in net.modules() if isinstance(m, foveate.attention.DAS))
    with torch.no_grad():
        das.offset.bias[2], das.offset.bias[3] = 1.5, -0.25
    (moved,) = sampling_points(net, images, where)
    gap = moved.points - moved.regular
    want = torch.zeros(9, 2)
    want[1] = torch.tensor([3.0, -0.5])
    torch.testing.assert_close(gap, want.expand(2, -1, -1), atol=1e-5, rtol=0)


def test_fields_hold_every_place_and_displacements_are_in_pixels_of_the_image():
    net = gated()
    (das,) = (m for m in net.modules() if isinstance(m, foveate.attention.DAS))
    with torch.no_grad():
        das.offset.bias[8], das.offset.bias[9] = 1.5, -2.0  # tap 4, in cells of 2 pixels
    images = torch.rand(2, 3, 12, 16)
    (field,) = site_fields(net, images)
    assert (field.map_size, field.size) == ((6, 8), (12, 16))
    assert field.points.shape == (2, 9, 2, 6, 8) and field.regular.shape == (9, 2, 6, 8)
    want = torch.zeros(2, 9, 6, 8)
    want[:, 4] = 5.0  # (3, -4)
    torch.testing.assert_close(field.displacement, want, atol=1e-4, rtol=0)
    assert field.regular[0, :, 0, 0].tolist() == [-1.5, -1.5]
    assert field.regular[8, :, 5, 7].tolist() == [12.5, 16.5]
    where = torch.tensor([[0.0, 15.0], [7.0, 4.0]])
    (site,) = sampling_points(net, images, where)
    torch.testing.assert_close(site.points[0], field.points[0, :, :, 0, 7])
    torch.testing.assert_close(site.points[1], field.points[1, :, :, 3, 2])
    torch.testing.assert_close(site.regular[1], field.regular[:, :, 3, 2])
    assert site_fields(Net(), images) == []


def test_gate_maps_are_the_mean_of_the_gate():
    net = gated()
    images = torch.rand(2, 3, 16, 16)
    (das,) = (m for m in net.modules() if isinstance(m, foveate.attention.DAS))
    want = das.gate(nn.functional.conv2d(images, net.stage.weight, net.stage.bias, 2)).mean(1)
    (site,) = gate_maps(net, images)
    torch.testing.assert_close(site.gate, want.detach())
    assert want.std() > 0
    (point,) = sampling_points(net, images)
    torch.testing.assert_close(point.gate, want.detach())
    torch.testing.assert_close(point.query, strongest(want, (16, 16)))


def test_identity_starts_and_modes_are_respected():
    net = Net().train()
    foveate.insert_(net, "das", ["stage"], start="identity", example=torch.rand(2, 3, 16, 16))
    net.stage.eval()
    modes = [module.training for module in net.modules()]
    hooks = [len(module._forward_pre_hooks) for module in net.modules()]
    assert len(sampling_points(net, torch.rand(1, 3, 16, 16))) == 1
    assert [module.training for module in net.modules()] == modes
    assert [len(module._forward_pre_hooks) for module in net.modules()] == hooks


def test_gates_that_forget_at_the_end_of_a_pass_are_asked_before():
    net = TinyResNet().eval()
    foveate.insert_(net, "emca", example=torch.rand(1, 3, 16, 16))
    assert gate_maps(net, torch.rand(2, 3, 16, 16)) == []


def test_gates_without_a_map_have_none():
    images = torch.rand(2, 3, 16, 16)
    for name in ("se", "eca"):
        assert gate_maps(gated(name), images) == []
        assert sampling_points(gated(name), images) == []
    assert gate_maps(Net().eval(), images) == []


@pytest.mark.parametrize(
    ("where", "words"),
    [(torch.zeros(3, 2), r"\(2, 2\)"), (torch.full((2, 2), 16.0), "inside the")],
)
def test_wrong_positions_are_named(where, words):
    with pytest.raises(ValueError, match=words):
        sampling_points(gated(), torch.rand(2, 3, 16, 16), where)

"""Deletion and insertion on networks whose areas are known exactly."""

import itertools
import math

import pytest
import torch
from torch import nn

from foveate.explain.scores import deletion_insertion


class Share(nn.Module):
    """Class 0 has exactly the probability sum(weight * image): an answer known for any image."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("weight", weight)
        self.drop = nn.Dropout(0.9)
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        p = (self.drop(x).double() * self.weight).sum((1, 2, 3))
        return torch.stack([p, 1 - p], dim=1).log()


def area(curve):
    """Trapezoids in plain Python."""
    return sum((a + b) / 2 for a, b in itertools.pairwise(curve)) / (len(curve) - 1)


def four_pixels():
    """An image of ones, 1 x 2 x 2, whose pixels weigh .4, .3, .2, .1, and a map that knows it."""
    weight = torch.tensor([[[[0.4, 0.3], [0.2, 0.1]]]], dtype=torch.float64)
    return Share(weight), torch.ones(1, 1, 2, 2), weight[0].float()


def test_a_map_that_knows_the_weights_has_the_areas_computed_by_hand():
    model, images, maps = four_pixels()
    found = deletion_insertion(model, images, maps, 0, steps=4, fill="zero")
    assert found.deletion_curve[0].tolist() == pytest.approx([1, 0.6, 0.3, 0.1, 0], abs=1e-7)
    assert found.insertion_curve[0].tolist() == pytest.approx([0, 0.4, 0.7, 0.9, 1], abs=1e-7)
    assert found.deletion.item() == pytest.approx(0.375, abs=1e-7)
    assert found.insertion.item() == pytest.approx(0.625, abs=1e-7)
    worst = deletion_insertion(model, images, -maps, 0, steps=4, fill="zero")
    assert worst.deletion.item() == pytest.approx(0.625, abs=1e-7)
    assert torch.equal(found.deletion_chance, worst.deletion_chance)
    assert torch.equal(found.insertion_chance, worst.insertion_chance)
    assert 0.375 < found.deletion_chance.item() < 0.625
    assert found.deletion_chance.item() + found.insertion_chance.item() == pytest.approx(1)
    other = deletion_insertion(model, images, maps, 1, steps=4, fill="zero")
    assert other.deletion.item() == pytest.approx(0.625, abs=1e-7)
    assert found.scores()["deletion"] is found.deletion


def test_steps_take_whole_pixels():
    model, images, maps = four_pixels()
    found = deletion_insertion(model, images, maps, 0, steps=2, fill="zero")
    assert found.deletion_curve[0].tolist() == pytest.approx([1, 0.3, 0], abs=1e-7)
    found = deletion_insertion(model, images, maps, 0, steps=8, fill="zero")
    want = [1, 1, 0.6, 0.3, 0.3, 0.3, 0.1, 0, 0]  # halves of a pixel go to the even count
    assert found.deletion_curve[0].tolist() == pytest.approx(want, abs=1e-7)


def test_a_flat_map_scores_exactly_chance_and_chance_is_fair():
    torch.manual_seed(1)
    weight = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    model, images = Share(weight / weight.sum()), torch.ones(2, 1, 6, 6)
    found = [
        deletion_insertion(model, images, torch.full((2, 6, 6), 0.3), 0, fill="zero", seed=seed)
        for seed in range(40)
    ]
    for one in found:
        assert torch.equal(one.deletion, one.deletion_chance)
        assert torch.equal(one.insertion, one.insertion_chance)
    means = torch.stack([one.deletion_chance[0] for one in found])
    assert means.mean().item() == pytest.approx(0.5, abs=0.02)
    assert len(set(means.tolist())) > 30


def test_ties_are_broken_at_random_within_their_value_only():
    model, images, _ = four_pixels()
    tied = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    first = {
        round(deletion_insertion(model, images, tied, 0, steps=4, fill="zero", seed=s)
              .deletion_curve[0, 1].item(), 3)
        for s in range(20)
    }  # fmt: skip
    assert first == {0.6, 0.7}


@pytest.mark.parametrize("fill", ["mean", "blur", "zero"])
def test_the_fill_is_what_it_says(fill):
    images = torch.rand(2, 3, 9, 13, dtype=torch.float64)
    seen = []

    class Keep(nn.Module):
        def forward(self, x):
            seen.append(x.clone())
            return x.mean((2, 3))

    deletion_insertion(Keep(), images, torch.rand(2, 9, 13), 0, steps=1, fill=fill)
    assert len(seen) == 2 and torch.equal(seen[0], images)
    if fill == "zero":
        want = torch.zeros_like(images)
    elif fill == "mean":
        want = images.mean((2, 3), keepdim=True).expand_as(images)
    else:
        want = torch.empty_like(images)
        for y in range(9):
            for x in range(13):
                total = sum_weight = 0.0
                for v in range(max(0, y - 5), min(9, y + 6)):
                    for u in range(max(0, x - 5), min(13, x + 6)):
                        weight = math.exp(-((y - v) ** 2 + (x - u) ** 2) / 50)
                        total = total + weight * images[:, :, v, u]
                        sum_weight += weight
                want[:, :, y, x] = total / sum_weight
    torch.testing.assert_close(seen[1], want)


def test_probabilities_of_a_half_precision_network_are_not_rounded():
    scores = torch.tensor([0.3, 0.7, 0.1], dtype=torch.bfloat16)

    class Fixed(nn.Module):
        def forward(self, x):
            return scores.expand(len(x), 3)

    found = deletion_insertion(Fixed(), torch.rand(1, 1, 2, 2).bfloat16(), torch.rand(1, 2, 2), 1)
    weights = [math.exp(value) for value in scores.tolist()]
    assert found.deletion.item() == pytest.approx(weights[1] / sum(weights), rel=1e-12)


def some_net():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip
    net[1].running_mean.uniform_()
    return net


def test_it_is_the_plain_loop_over_steps():
    net, images, maps = some_net().eval(), torch.rand(2, 3, 6, 5), torch.rand(2, 6, 5)
    found = deletion_insertion(net, images, maps, [1, 3], steps=5, fill="mean")
    for image, class_ in enumerate((1, 3)):
        order = sorted(range(30), key=lambda p: -maps[image].flatten()[p].item())
        down, up = [], []
        for step in range(6):
            gone, back = (
                images[image].clone(),
                images[image].mean((1, 2))[:, None, None] + 0 * maps[0],
            )
            for pixel in order[: 6 * step]:
                y, x = divmod(pixel, 5)
                gone[:, y, x] = images[image].mean((1, 2))
                back[:, y, x] = images[image, :, y, x]
            with torch.no_grad():
                both = net(torch.stack([gone, back])).softmax(1)[:, class_]
            down.append(both[0].item())
            up.append(both[1].item())
        assert found.deletion_curve[image].tolist() == pytest.approx(down, abs=1e-6)
        assert found.insertion_curve[image].tolist() == pytest.approx(up, abs=1e-6)
        assert found.deletion[image].item() == pytest.approx(area(down), abs=1e-6)
        assert found.insertion[image].item() == pytest.approx(area(up), abs=1e-6)


def test_batched_is_one_by_one_and_batches_are_bounded():
    model, images, _ = four_pixels()
    images = torch.rand(5, 1, 2, 2) + 0.1
    maps = torch.rand(5, 2, 2)
    classes = torch.tensor([0, 1, 0, 1, 1])
    whole = deletion_insertion(model, images, maps, classes, steps=3, fill="zero", batch_size=2)
    assert max(model.batches) == 2 and len(model.batches) == 3 * (4 * 3 - 2)
    single = [
        deletion_insertion(model, images[i : i + 1], maps[i : i + 1], c, steps=3, fill="zero")
        for i, c in enumerate(classes.tolist())
    ]
    for name in ("deletion", "insertion", "deletion_chance", "deletion_curve", "insertion_curve"):
        want = torch.cat([getattr(one, name) for one in single])
        torch.testing.assert_close(getattr(whole, name), want)
    empty = deletion_insertion(model, images[:0], maps[:0], 0)
    assert empty.deletion.shape == (0,) and empty.deletion_curve.shape == (0, 17)


def test_the_network_and_the_inputs_are_left_as_they_were():
    net, images, maps = some_net().train(), torch.rand(2, 3, 6, 5), torch.rand(2, 6, 5)
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    kept = images.clone(), maps.clone()
    first = deletion_insertion(net, images, maps, 2)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net[2].inplace and torch.equal(images, kept[0]) and torch.equal(maps, kept[1])
    state = torch.get_rng_state()
    assert torch.equal(first.deletion, deletion_insertion(net, images, maps, 2).deletion)
    assert torch.equal(state, torch.get_rng_state())

    def fail(module, inputs):
        raise RuntimeError("broken")

    net[4].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="broken"):
        deletion_insertion(net, images, maps, 2)
    assert [module.training for module in net.modules()] == modes and net[2].inplace


def test_a_map_with_a_nan_is_undefined_for_its_image_only():
    model, images, maps = four_pixels()
    images, maps = images.repeat(2, 1, 1, 1), maps.repeat(2, 1, 1)
    maps[0, 1, 1] = math.nan
    found = deletion_insertion(model, images, maps, 0, steps=4, fill="zero")
    for value in found.scores().values():
        assert value.isnan().tolist() == [True, False]
    assert found.deletion[1].item() == pytest.approx(0.375, abs=1e-7)


IMAGES, MAPS = torch.rand(2, 3, 4, 4), torch.rand(2, 4, 4)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps >= 1; got 0"),
        ({"batch_size": 0}, ValueError, "batch_size >= 1; got 0"),
        ({"fill": "grey"}, ValueError, "a known fill; got 'grey'"),
        ({"images": IMAGES[0]}, ValueError, r"images of shape \(N, C, H, W\)"),
        ({"images": IMAGES.byte()}, TypeError, "images of a floating dtype; got torch.uint8"),
        ({"maps": MAPS.tolist()}, TypeError, "maps of a floating dtype; got list"),
        ({"maps": MAPS[:, :2]}, ValueError, "in the size of its image"),
        ({"maps": MAPS.to("meta")}, ValueError, "on the device of the images, cpu; got meta"),
        ({"classes": [0, 1, 2]}, ValueError, r"one class, or 2 of them; got \(3,\)"),
        ({"classes": 0.5}, TypeError, "classes as integers"),
        ({"classes": 7}, ValueError, r"classes from 0 to 4; got \[7\]"),
        ({"classes": [0, -1]}, ValueError, r"classes from 0 to 4; got \[-1, 0\]"),
        ({"model": nn.Identity()}, ValueError, r"scores \(N, classes\); got \(2, 3, 4, 4\)"),
    ],
)
def test_a_wrong_argument_is_named(change, error, words):
    options = {"model": some_net(), "images": IMAGES, "maps": MAPS, "classes": 0, **change}
    with pytest.raises(error, match=f"deletion_insertion expects .*{words}"):
        deletion_insertion(**options)

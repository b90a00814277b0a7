"""Fingerprints: each thing that decides a score changes one of them, and only that one."""

import copy
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch import nn

from foveate.data import ImageDataset, Sample, Unreadable
from foveate.explain import Subject
from foveate.explain.survey.prints import IMAGES, fingerprints
from foveate.training import DataSection


class Photos(ImageDataset):
    """Images of one color each."""

    classes = ("cat", "dog")

    def __init__(self, count=40, color=None, names=None, broken=()):
        self.count, self.color, self.names = count, color or {}, names or {}
        self.broken = broken

    def __len__(self):
        return self.count

    def name_of(self, index):
        return self.names.get(index, f"{index}.png")

    def __getitem__(self, index):
        if index in self.broken:
            return Unreadable(index, self.name_of(index), "empty file")
        image = torch.full((3, 4, 4), self.color.get(index, index), dtype=torch.uint8)
        return Sample(image, 0, index, self.name_of(index))


@pytest.fixture
def subject():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    return Subject("net", net, DataSection(size=8), ("cat", "dog"))


def changed(one, other):
    assert one.keys() == other.keys()
    return [key for key in one if one[key] != other[key]]


def test_the_same_things_have_the_same_prints(subject):
    one = fingerprints([subject], Photos())
    assert one == fingerprints([copy.deepcopy(subject)], Photos())
    assert len([key for key in one if key.startswith("pixels of image")]) == IMAGES
    assert all(0 < len(value) <= 16 for value in one.values())


def test_every_weight_counts(subject):
    before = fingerprints([subject], Photos())
    for name in ("0.weight", "1.bias", "1.running_var", "1.num_batches_tracked"):
        other = copy.deepcopy(subject)
        other.model.state_dict()[name].view(-1)[-1:].add_(1)
        assert changed(before, fingerprints([other], Photos())) == ["weights of net"], name


def test_the_names_of_weights_count(subject):
    before = fingerprints([subject], Photos())
    first, *others = subject.model.named_children()
    turned = nn.Sequential(OrderedDict([("stem", first[1]), *others]))
    other = fingerprints([replace(subject, model=turned)], Photos())
    assert changed(before, other) == ["weights of net"]


def test_weights_of_any_kind_are_read(subject):
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        half = replace(subject, model=copy.deepcopy(subject.model).to(dtype))
        before = fingerprints([subject], Photos())
        assert changed(before, fingerprints([half], Photos())) == ["weights of net"]


def test_the_way_of_preparing_images_counts(subject):
    before = fingerprints([subject], Photos())
    ways = [{"size": 16}, {"mean": (0.1, 0.2, 0.3)}, {"std": (0.1, 0.2, 0.3)},
            {"augment": "imagenet"}]  # fmt: skip
    for way in ways:
        other = replace(subject, data=subject.data.model_copy(update=way))
        assert changed(before, fingerprints([other], Photos())) == ["images for net"], way
    other = replace(subject, classes=("dog", "cat"))
    assert changed(before, fingerprints([other], Photos())) == ["images for net"]


def test_images_count_by_name_and_some_by_pixels(subject):
    before = fingerprints([subject], Photos())
    other = fingerprints([subject], Photos(names={7: "x.png"}))
    assert changed(before, other) == ["names of the images"]
    other = fingerprints([subject], Photos(color={0: 99}))
    assert changed(before, other) == ["pixels of image 0"]
    fingerprints([subject], Photos(names={1: "a\udcff.png"}))  # Bytes that are no UTF-8.


def test_what_cannot_be_read_has_no_print(subject):
    found = fingerprints([subject], Photos(broken=(0,)))
    assert "pixels of image 0" not in found and "names of the images" in found
    assert "names of the images" in fingerprints([subject], Photos(0))

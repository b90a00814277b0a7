"""Regions that come with the data, against masks worked out by hand."""

import pytest
import torch

from foveate.data import Annotation, ImageDataset, Sample, open_images
from foveate.explain.regions import BoxRegions, NoRegions, TruthRegions, open_regions
from foveate.explain.regions.truth import NO_ANNOTATION


def mask_of(*boxes, size=(6, 8)):
    mask = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for one, (x1, y1, x2, y2) in zip(mask, boxes, strict=True):
        one[y1:y2, x1:x2] = True
    return mask


class OneImage(ImageDataset):
    """One grey image of 6x8 pixels with a given annotation; its label is 0, a cat."""

    classes = ("cat", "dog")
    labels = (0,)

    def __init__(self, note):
        self.note = note

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return Sample(torch.zeros(3, 6, 8, dtype=torch.uint8), 0, index, "one.png")

    def annotation(self, index):
        return self.note


def annotated(boxes, labels, masks=None, mask=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor(labels, dtype=torch.int64)
    masks = mask_of(*boxes.int().tolist()) if masks is None else masks
    mask = masks[labels == 0].any(0) if mask is None else mask
    return OneImage(Annotation(boxes, labels, mask, masks))


def ask(source, data, class_name=None):
    return source.region(data, 0, data[0].image, class_name)


def test_scenes_have_the_object_with_its_cue_or_alone():
    scenes = open_images("scenes", size=48, limit=16)
    image, note = scenes[3].image, scenes.annotation(3)
    both = TruthRegions().region(scenes, 3, image, None)
    alone = TruthRegions("object").region(scenes, 3, image, scenes.classes[scenes.labels[3]])
    assert torch.equal(both.mask, note.mask) and both.source == alone.source == "masks"
    assert torch.equal(alone.mask, note.masks[0]) and alone.mask.sum() < both.mask.sum()
    assert both.reason == "" and both.detail == {"objects": 1}


def test_the_objects_of_the_class_alone_count():
    data = annotated([[0, 0, 2, 2], [4, 1, 8, 3], [5, 4, 6, 6]], [0, 1, 0])
    mine = ask(TruthRegions(), data)
    assert torch.equal(mine.mask, mask_of((0, 0, 2, 2), (5, 4, 6, 6)).any(0))
    dog = ask(TruthRegions(), data, "dog")
    assert torch.equal(dog.mask, mask_of((4, 1, 8, 3))[0])
    assert torch.equal(ask(BoxRegions(), data, "dog").mask, dog.mask)
    other = ask(TruthRegions(), data, "Egyptian cat")
    assert torch.equal(other.mask, mine.mask), "a word that is no class here means the own object"


def test_filled_boxes_are_called_boxes():
    assert ask(TruthRegions(), annotated([[1, 1, 4, 4]], [0])).source == "boxes"
    cut = mask_of((1, 1, 4, 4))
    cut[0, 1, 1] = False
    assert ask(TruthRegions(), annotated([[1, 1, 4, 4]], [0], cut)).source == "masks"


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ([1, 1, 3, 4], 6),
        ([0.6, 0.6, 2.4, 1.6], 1),
        ([0.6, 0.6, 2.4, 1.4], 0),
        ([-5, -5, 1, 1], 1),
        ([6, 4, 99, 99], 4),
        ([2, 2, 2, 5], 0),
        ([9, 1, 12, 3], 0),
        ([3, 3, 1, 1], 0),
    ],
)
def test_boxes_hold_the_pixels_whose_centers_they_hold(box, pixels):
    region = ask(BoxRegions(), annotated([box], [0], mask_of((0, 0, 8, 6))))
    if pixels:
        assert int(region.mask.sum()) == pixels and region.reason == ""
    else:
        assert region.mask is None and "cover no pixel" in region.reason


@pytest.mark.parametrize("source", [TruthRegions(), TruthRegions("object"), BoxRegions()])
def test_without_a_region_there_is_a_reason(source):
    assert ask(source, OneImage(None)).reason == NO_ANNOTATION
    assert "no object of the class" in ask(source, annotated([], [])).reason
    only_dog = annotated([[0, 0, 2, 2]], [1])
    assert "no object of the class" in ask(source, only_dog).reason
    assert ask(source, only_dog, "dog").mask is not None
    empty = annotated([[2, 2, 2, 2]], [0])
    assert "cover no pixel" in ask(source, empty).reason
    small = annotated([[0, 0, 2, 2]], [0], mask_of((0, 0, 2, 2), size=(3, 4)))
    region = ask(source, small)
    assert region.mask is None and "another size" in region.reason
    assert region.detail == {"image": [6, 8], "annotation": [3, 4]}


def test_auto_takes_what_the_data_have(tmp_path):
    scenes = open_images("scenes", size=32, limit=16)
    assert isinstance(open_regions(dataset=scenes), TruthRegions)
    assert open_regions(dataset=scenes, which="object").which == "object"
    bare = OneImage(None)
    assert isinstance(open_regions(dataset=bare), NoRegions)
    assert "neither masks nor boxes" in ask(open_regions(dataset=bare), bare).reason
    found = open_regions(dataset=bare, detector="somewhere", cache=tmp_path)
    assert found.source.detector.name == "somewhere"
    assert isinstance(open_regions("none", cache=tmp_path), NoRegions)


def test_wrong_words_are_refused():
    with pytest.raises(ValueError, match=r"known kind of regions; got 'box'.*'boxes'"):
        open_regions("box")
    with pytest.raises(ValueError, match="dataset for 'auto'; got none"):
        open_regions()
    with pytest.raises(ValueError, match="a known region; got 'all'"):
        TruthRegions("all")

"""mIoU and pixel accuracy: by hand, against torchmetrics, and where classes are missing."""

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from foveate.segmentation import ClassScores, confusion
from foveate.segmentation.data import IGNORED


def test_a_case_done_by_hand():
    """Class 0: 2 right of 2 + 1 taken for it. Class 1: 1 of 2 and 1 lost. Class 2: none."""
    truth = torch.tensor([[0, 0, 1, 1, IGNORED]])
    found = torch.tensor([[0, 0, 0, 1, 1]])
    scores = ClassScores(confusion(found, truth, 3), ["a", "b", "c"])
    assert scores.matrix.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.ious == [2 / 3, 1 / 2, None]
    assert scores.miou == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert scores.pixel_accuracy == 3 / 4
    told = scores.as_dict()
    assert told["absent"] == ["c"] and told["pixels"] == 4
    assert told["per_class"][1] == {"name": "b", "iou": 0.5, "pixels": 2}


def test_a_class_that_is_nowhere_but_found_counts_as_zero():
    scores = ClassScores(confusion(torch.tensor([0, 2]), torch.tensor([0, 0]), 3), "abc")
    assert scores.ious == [0.5, None, 0.0] and scores.miou == 0.25


def test_nothing_judged_has_no_score():
    scores = ClassScores(confusion(torch.tensor([1]), torch.tensor([IGNORED]), 2), "ab")
    assert scores.miou is None and scores.pixel_accuracy is None
    assert scores.as_dict()["absent"] == ["a", "b"]


@pytest.mark.parametrize("classes", [2, 5, 21])
def test_torchmetrics_says_the_same(classes):
    generator = torch.Generator().manual_seed(classes)
    found = torch.randint(classes, (3, 9, 11), generator=generator)
    truth = torch.randint(classes, (3, 9, 11), generator=generator)
    truth[torch.rand(3, 9, 11, generator=generator) < 0.2] = IGNORED
    scores = ClassScores(confusion(found, truth, classes), [str(k) for k in range(classes)])
    miou = MulticlassJaccardIndex(classes, average="macro", ignore_index=IGNORED)
    each = MulticlassJaccardIndex(classes, average="none", ignore_index=IGNORED)
    right = MulticlassAccuracy(classes, average="micro", ignore_index=IGNORED)
    assert scores.miou == pytest.approx(float(miou(found, truth)), abs=1e-6)
    assert scores.ious == pytest.approx(each(found, truth).tolist(), abs=1e-6)
    assert scores.pixel_accuracy == pytest.approx(float(right(found, truth)), abs=1e-6)


def test_matrices_of_parts_add_up():
    generator = torch.Generator().manual_seed(0)
    found, truth = (torch.randint(4, (6, 7), generator=generator) for _ in range(2))
    parts = [confusion(found[:2], truth[:2], 4), confusion(found[2:], truth[2:], 4)]
    assert torch.equal(sum(parts), confusion(found, truth, 4))
    assert not torch.equal(sum(parts), confusion(truth, found, 4))


@pytest.mark.parametrize(
    ("found", "truth"), [([0, 1], [0]), ([3], [0]), ([0], [3]), ([-1], [0]), ([0], [-1])]
)
def test_what_is_no_class_is_refused(found, truth):
    with pytest.raises(ValueError, match="confusion expects"):
        confusion(torch.tensor(found), torch.tensor(truth), 3)

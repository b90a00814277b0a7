"""From images to a batch: torchvision's transform is the truth."""

import pytest
import torch

transform = pytest.importorskip("torchvision.models.detection.transform")
from foveate.detection.model.framing import Framing  # noqa: E402

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    ("sizes", "side", "longest"),
    [
        ([(64, 64)] * 2, 64, 64),
        ([(48, 80)] * 2, 64, 100),
        ([(48, 80), (33, 71), (97, 41)], 64, 100),
        ([(30, 90)], 64, 96),
    ],
)
def test_batch_and_boxes_are_those_of_torchvision(sizes, side, longest):
    torch.manual_seed(0)
    images = [torch.rand(3, *size) for size in sizes]
    targets = [{"boxes": torch.rand(3, 4) * 30, "labels": torch.arange(3)} for _ in sizes]
    ours, theirs = (
        Framing([side], longest, MEAN, STD).eval(),
        transform.GeneralizedRCNNTransform(side, longest, MEAN, STD).eval(),
    )
    batch, moved = ours(images, targets)
    truth, there = theirs(images, targets)
    assert torch.equal(batch.tensors, truth.tensors)
    assert batch.image_sizes == [tuple(size) for size in truth.image_sizes]
    for one, other in zip(moved, there, strict=True):
        assert torch.equal(one["boxes"], other["boxes"])
        assert torch.equal(one["labels"], other["labels"])
    found = [{"boxes": one["boxes"], "scores": torch.ones(3)} for one in moved]
    back = ours.postprocess(found, batch.image_sizes, sizes)
    again = theirs.postprocess([dict(one) for one in found], batch.image_sizes, sizes)
    assert all(torch.equal(a["boxes"], b["boxes"]) for a, b in zip(back, again, strict=True))


def test_a_batch_draws_one_size_and_evaluation_takes_the_last():
    framing = Framing([32, 64, 96], 96, MEAN, STD)
    images = [torch.rand(3, 40, 40), torch.rand(3, 50, 50)]
    drawn = set()
    for _ in range(30):
        sizes = framing(images)[0].image_sizes
        assert sizes[0] == sizes[1]
        drawn.add(sizes[0])
    assert drawn == {(32, 32), (64, 64), (96, 96)}
    framing.eval()
    assert framing(images)[0].image_sizes == [(96, 96)] * 2


def test_in_training_there_is_nothing_to_bring_back():
    assert Framing([32], 32, MEAN, STD).postprocess([], [(32, 32)], [(40, 40)]) == []

"""Names without reading, blocks of images that lie together, and what a subset makes of both."""

import pytest
import torch

from foveate.data import ImageDataset, Sample, open_dataset
from foveate.data.samples import Subset


class Blocked(ImageDataset):
    """Ten images in blocks of 4, 4 and 2."""

    classes = ("a", "b")
    labels = (0, 1) * 5
    blocks = (range(4), range(4, 8), range(8, 10))

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return Sample(torch.zeros(3, 2, 2, dtype=torch.uint8), 0, index, self.name_of(index))


def test_a_name_is_known_without_reading_the_image(make_folder):
    root = make_folder({"cat": 5, "dog": 5})
    for dataset in (
        open_dataset("scenes", "val", size=24, count=5),
        open_dataset("scenes", "val", size=24, count=30, limit=5),
        open_dataset(str(root), "train", limit=4),
    ):
        assert [dataset.name_of(i) for i in range(len(dataset))] == [
            dataset[i].name for i in range(len(dataset))
        ]
        assert dataset.name_of(-1) == dataset[len(dataset) - 1].name and dataset.blocks is None
        with pytest.raises(IndexError):
            dataset.name_of(len(dataset))


@pytest.mark.parametrize(
    ("chosen", "blocks"),
    [
        ((0, 3, 5, 9), [(0, 2), (2, 3), (3, 4)]),
        ((1, 2, 8), [(0, 2), (2, 3)]),
        ((9, 0, 8), [(0, 1), (1, 2), (2, 3)]),
        (range(10), [(0, 4), (4, 8), (8, 10)]),
        ((), []),
    ],
)
def test_a_subset_keeps_what_is_left_of_each_block(chosen, blocks):
    subset = Subset(Blocked(), chosen)
    assert [(block.start, block.stop) for block in subset.blocks] == blocks
    assert [place for block in subset.blocks for place in block] == list(range(len(subset)))
    assert [subset.name_of(i) for i in range(len(subset))] == [f"image/{i:05d}" for i in chosen]

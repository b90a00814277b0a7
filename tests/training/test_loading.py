"""Order and augmentation are functions of the recipe alone."""

import pytest
import torch

from foveate.data import Sample, Unreadable
from foveate.training import DataSection
from foveate.training.loading import InMemory, Transformed, as_batch, open_data
from foveate.training.order import EpochSampler, order_of
from foveate.training.transforms import train_transform


class Counting:
    """Four distinct images; the last cannot be read."""

    classes = ("a", "b")
    labels = (0, 1, 0, 1)

    def __init__(self):
        self.reads = []

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.reads.append(index)
        if index == 3:
            return Unreadable(3, "three.png", "empty")
        image = torch.arange(3 * 16 * 16).view(3, 16, 16).add(index).to(torch.uint8)
        return Sample(image, index % 2, index, f"{index}.png")


def test_the_order_depends_on_seed_and_epoch_and_visits_each_image_once():
    orders = {(seed, epoch): order_of(seed, epoch, 50) for seed in range(3) for epoch in range(3)}
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == 9
    assert orders[1, 2] == order_of(1, 2, 50)


def test_training_shares_are_equal_and_disjoint():
    shares = []
    for rank in range(3):
        sampler = EpochSampler(11, 5, shuffle=True, rank=rank, world=3)
        sampler.set_epoch(2)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == 3
    together = [index for share in shares for _, index, _ in share]
    assert sorted(together) == sorted(order_of(5, 2, 11)[:9])
    assert all(epoch == 2 and counted for share in shares for epoch, _, counted in share)


def test_evaluation_counts_each_image_once_in_equal_shares():
    shares = [list(EpochSampler(7, 0, shuffle=False, rank=r, world=3)) for r in range(3)]
    assert [len(share) for share in shares] == [3, 3, 3]
    counted = [index for share in shares for _, index, count in share if count]
    assert sorted(counted) == list(range(7))


def test_augmentation_depends_on_the_key_and_leaves_the_global_generator_alone():
    data = DataSection(size=16, augment="crop_flip")
    dataset = Transformed(Counting(), train_transform(data), seed=3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = dataset[0, 1, True].image
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(dataset[0, 1, True].image, first)
    others = [dataset[epoch, 1, True].image for epoch in range(1, 9)]
    assert sum(torch.equal(other, first) for other in others) <= 2
    seeded = Transformed(Counting(), train_transform(data), seed=4)
    pairs = [(seeded[e, 0, True].image, dataset[e, 0, True].image) for e in range(8)]
    assert sum(torch.equal(a, b) for a, b in pairs) <= 2


def test_an_image_that_is_not_counted_has_no_label():
    dataset = Transformed(Counting(), lambda image: image, seed=None)
    assert dataset[0, 1, True].label == 1
    assert dataset[0, 1, False].label == -1


def test_images_are_read_once_and_kept():
    source = Counting()
    memory = InMemory(source)
    for _ in range(3):
        assert torch.equal(memory[1].image, Counting()[1].image)
    assert source.reads == [1]
    assert memory.labels == (0, 1, 0, 1)


def test_batches_drop_and_name_the_unreadable():
    batch = as_batch([Counting()[index] for index in (0, 3, 2)])
    assert batch["labels"].tolist() == [0, 0]
    assert batch["indices"].tolist() == [0, 2]
    assert batch["unreadable"] == [("three.png", "empty")]


def test_open_data_takes_limits_and_refuses_other_classes(photos):
    train, val = open_data(DataSection(source="scenes", size=32, limit_train=20, limit_val=10))
    assert (len(train), len(val)) == (20, 10)
    for image in (photos / "val" / "blue").iterdir():
        image.unlink()
    (photos / "val" / "blue").rmdir()
    green = photos / "val" / "green"
    green.mkdir()
    (photos / "val" / "red" / "0.png").rename(green / "0.png")
    with pytest.raises(ValueError, match=r"the same .*classes in train and val"):
        open_data(DataSection(source=str(photos), size=32))

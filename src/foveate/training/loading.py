"""From datasets to batches: an order and an augmentation that depend on nothing but the recipe.

The order of an epoch comes from (seed, epoch), the augmentation of an image from (seed, epoch,
index). Both use private random states, so they are the same for every network, for every number of
workers, and after a resume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from foveate.core import Words, expected
from foveate.data import Annotation, ImageDataset, Sample, Unreadable, collate, open_dataset
from foveate.training.recipe import DataSection, Recipe
from foveate.training.transforms import Transform, eval_transform, train_transform

# Images of a data set up to this size stay in memory when no worker processes load them.
MEMORY_LIMIT_BYTES = 512 * 2**20

Key = tuple[int, int, bool]
Batch = dict[str, Any]


class InMemory(ImageDataset):
    """A data set whose items are read once and then kept.

    Several runs of one study share one of these, so that images are made or read once.
    """

    def __init__(self, source: ImageDataset) -> None:
        self.source = source
        self.classes = source.classes
        self._items: dict[int, Sample | Unreadable] = {}

    @property
    def labels(self) -> Sequence[int]:
        """The labels of the source."""
        return self.source.labels

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample | Unreadable:
        item = self._items.get(index)
        if item is None:
            item = self._items[index] = self.source[index]
        return item

    def annotation(self, index: int) -> Annotation | None:
        """Return the annotation of the source."""
        return self.source.annotation(index)


def open_data(data: DataSection) -> tuple[ImageDataset, ImageDataset]:
    """Open the training and the validation images of a recipe; small ones are kept in memory.

    Raises:
        ValueError: If the two do not have the same classes, or there are fewer than two.
    """
    pair: list[ImageDataset] = []
    for split, limit in (("train", data.limit_train), ("val", data.limit_val)):
        dataset = open_dataset(
            data.source, split, size=data.size, seed=data.seed, limit=limit, **data.options
        )
        pair.append(InMemory(dataset) if _fits(dataset, data) else dataset)
    train, val = pair
    if train.classes != val.classes or len(train.classes) < 2:
        raise ValueError(
            expected(
                f"data source {data.source!r}",
                "the same two or more classes in train and val",
                Words(f"{list(train.classes)} and {list(val.classes)}"),
            )
        )
    return train, val


def _fits(dataset: ImageDataset, data: DataSection) -> bool:
    """Judge by its first image whether a data set fits into memory."""
    if data.workers or not len(dataset):
        return False
    first = dataset[0]
    return isinstance(first, Sample) and first.image.numel() * len(dataset) <= MEMORY_LIMIT_BYTES


def order_of(seed: int, epoch: int, length: int) -> list[int]:
    """Return the order in which an epoch visits ``length`` images."""
    generator = torch.Generator().manual_seed(_mix(seed, epoch, -1))
    return torch.randperm(length, generator=generator).tolist()


def _mix(seed: int, epoch: int, index: int) -> int:
    """Turn three integers into one well-spread 63-bit seed (the finalizer of SplitMix64)."""
    mask = 2**64 - 1
    value = (seed * 0x9E3779B97F4A7C15 + (epoch + 1) * 0xD1B54A32D192ED03 + index + 2) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) >> 1


class EpochSampler(Sampler[Key]):
    """Keys (epoch, index, counted) of this process's share of an epoch.

    In training with several processes the shares are cut to equal length; in evaluation they are
    filled up with images marked as not counted, so that each image counts exactly once.
    """

    def __init__(self, length: int, seed: int, *, shuffle: bool, rank: int, world: int) -> None:
        self.length, self.seed, self.shuffle = length, seed, shuffle
        self.rank, self.world = rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length // self.world if self.shuffle else -(-self.length // self.world)

    def __iter__(self) -> Iterator[Key]:
        if self.shuffle:
            order = order_of(self.seed, self.epoch, self.length)
            share = order[self.rank : len(self) * self.world : self.world]
            yield from ((self.epoch, index, True) for index in share)
            return
        for position in range(self.rank, len(self) * self.world, self.world):
            yield self.epoch, min(position, self.length - 1), position < self.length


class Transformed(Dataset[Any]):
    """A dataset by key, with its transform; the label of an item not counted is -1."""

    def __init__(self, source: ImageDataset, transform: Transform, seed: int | None) -> None:
        self.source, self.transform, self.seed = source, transform, seed

    def __getitem__(self, key: Key) -> Sample | Unreadable:
        epoch, index, counted = key
        item = self.source[index]
        if isinstance(item, Unreadable):
            return item
        image = self._augmented(item.image, epoch, index)
        return Sample(image, item.label if counted else -1, item.index, item.name)

    def _augmented(self, image: Tensor, epoch: int, index: int) -> Tensor:
        if self.seed is None:
            return self.transform(image)
        # torchvision draws from the global generator: lend it a state of this image's own. The CPU
        # generator alone is touched, since seeding the accelerators for each image would be slow.
        generator = torch.default_generator
        state = generator.get_state()
        try:
            generator.manual_seed(_mix(self.seed, epoch, index))
            return self.transform(image)
        finally:
            generator.set_state(state)


def as_batch(items: Sequence[Sample | Unreadable]) -> Batch:
    """Stack items into the plain types that every accelerator and worker process can move."""
    batch = collate(items)
    return {
        "images": batch.images,
        "labels": batch.labels,
        "indices": batch.indices,
        "unreadable": [(item.name, item.reason) for item in batch.unreadable],
    }


class ImageData(pl.LightningDataModule):  # type: ignore[misc]
    """The images of a recipe for Lightning.

    Args:
        recipe: Its ``data`` section, ``seed`` and batch size count.
        data: Datasets (train, val) that are open already; otherwise they are opened here.
    """

    def __init__(
        self, recipe: Recipe, data: tuple[ImageDataset, ImageDataset] | None = None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.train_set, self.val_set = data or open_data(recipe.data)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return self.train_set.classes

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of training, shuffled, the last short one left out."""
        dataset = Transformed(self.train_set, train_transform(self.recipe.data), self.recipe.seed)
        return self._loader(dataset, len(self.train_set), shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the batches of evaluation, in order, every image once."""
        dataset = Transformed(self.val_set, eval_transform(self.recipe.data), None)
        return self._loader(dataset, len(self.val_set), shuffle=False)

    def _loader(self, dataset: Transformed, length: int, *, shuffle: bool) -> DataLoader[Any]:
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        sampler = EpochSampler(length, self.recipe.seed, shuffle=shuffle, rank=rank, world=world)
        size, workers = self.recipe.train.batch_size, self.recipe.data.workers
        return DataLoader(
            dataset,
            batch_size=size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=as_batch,
            # A short last batch would weigh its images more, and one image breaks batch norm.
            drop_last=shuffle and len(sampler) >= size,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.recipe.seed),
        )

"""From datasets to batches: an order and an augmentation that depend on nothing but the recipe.

The order of an epoch comes from (seed, epoch), the augmentation of an image from (seed, epoch,
index). Both use private random states, so they are the same for every network, for every number of
workers, and after a resume, within an epoch too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from foveate.core import Words, expected
from foveate.data import Annotation, ImageDataset, Sample, Unreadable, collate, open_dataset
from foveate.training.draws import draws_of, mix
from foveate.training.order import EpochSampler, Key
from foveate.training.recipe import DataSection, Recipe
from foveate.training.transforms import Transform, eval_transform, train_transform
from foveate.training.workers import Desks, naming

# Images of a data set up to this size stay in memory when no worker processes load them.
MEMORY_LIMIT_BYTES = 512 * 2**20

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

    def name_of(self, index: int) -> str:
        """Return the name in the source."""
        return self.source.name_of(index)

    @property
    def blocks(self) -> tuple[range, ...] | None:
        """The blocks of the source: the order must not depend on what is kept in memory."""
        return self.source.blocks


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


class Transformed(Dataset[Any]):
    """A dataset by key, with its transform; the label of an item not counted is -1."""

    def __init__(
        self,
        source: ImageDataset,
        transform: Transform,
        seed: int | None,
        desks: Desks | None = None,
    ) -> None:
        self.source, self.transform, self.seed = source, transform, seed
        self.desks = desks or Desks(0)

    def __getitem__(self, key: Key) -> Sample | Unreadable:
        epoch, index, counted = key
        with self.desks.reading(index), naming(self.source, index):
            item = self.source[index]
            if isinstance(item, Unreadable):
                return item
            image = self._augmented(item.image, epoch, index)
        return Sample(image, item.label if counted else -1, item.index, item.name)

    def _augmented(self, image: Tensor, epoch: int, index: int) -> Tensor:
        if self.seed is None:
            return self.transform(image)
        with draws_of(mix(self.seed, epoch, index)):
            return self.transform(image)


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
        self.desks, self.val_desks = (Desks(recipe.data.workers) for _ in range(2))
        self._resumed: dict[str, Any] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return self.train_set.classes

    def state_dict(self) -> dict[str, Any]:
        """Return where in the epoch training stands, for a checkpoint."""
        trainer = self.trainer
        done = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        return {
            "epoch": trainer.current_epoch,
            "batches": done,
            "is_whole": done >= trainer.num_training_batches,
            "processes": trainer.world_size,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up training where a checkpoint left it.

        Raises:
            ValueError: If it is within an epoch and was written by another number of processes,
                which had another order.
        """
        self._resumed = state_dict
        if not state_dict["is_whole"] and state_dict["processes"] != self.trainer.world_size:
            raise ValueError(
                expected(
                    "resuming within an epoch",
                    f"the {state_dict['processes']} processes that began it",
                    self.trainer.world_size,
                    "start as many; checkpoints between epochs take any number",
                )
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of training, shuffled, the last short one left out."""
        transform, seed = train_transform(self.recipe.data), self.recipe.seed
        dataset = Transformed(self.train_set, transform, seed, self.desks)
        sampler = self._sampler(self.train_set, shuffle=True)
        if self._resumed is not None:
            epoch, batches = int(self._resumed["epoch"]), int(self._resumed["batches"])
            if self._resumed["is_whole"]:
                epoch, batches = epoch + 1, 0
            # Worker processes ask for their first batches before Lightning sets the epoch.
            sampler.start_at(epoch, batches * self.recipe.train.batch_size)
        return self._loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the batches of evaluation, in order, every image once."""
        dataset = Transformed(self.val_set, eval_transform(self.recipe.data), None, self.val_desks)
        return self._loader(dataset, self._sampler(self.val_set, shuffle=False))

    def _sampler(self, dataset: ImageDataset, *, shuffle: bool) -> EpochSampler:
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return EpochSampler(
            len(dataset),
            self.recipe.seed,
            shuffle=shuffle,
            rank=rank,
            world=world,
            blocks=dataset.blocks,
        )

    def _loader(self, dataset: Transformed, sampler: EpochSampler) -> DataLoader[Any]:
        size, workers = self.recipe.train.batch_size, self.recipe.data.workers
        return DataLoader(
            dataset,
            batch_size=size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=as_batch,
            # A short last batch would weigh its images more, and one image breaks batch norm.
            drop_last=sampler.shuffle and len(sampler) >= size,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.recipe.seed),
        )

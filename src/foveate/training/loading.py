"""From data sets to batches of classification.

The augmentation of an image comes from (seed, epoch, index) and uses a random state of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from foveate.core import Words, expected
from foveate.data import Annotation, ImageDataset, Sample, Unreadable, collate, open_dataset
from foveate.training.data_module import KeyedData
from foveate.training.draws import draws_of, mix
from foveate.training.order import Key
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


class ImageData(KeyedData):
    """The images of a recipe for Lightning.

    Args:
        recipe: Its ``data`` section, ``seed`` and batch size count.
        data: Datasets (train, val) that are open already; otherwise they are opened here.
    """

    train_set: ImageDataset
    val_set: ImageDataset

    def __init__(
        self, recipe: Recipe, data: tuple[ImageDataset, ImageDataset] | None = None
    ) -> None:
        super().__init__(recipe, *(data or open_data(recipe.data)), collate=as_batch)

    def learnt(self) -> Transformed:
        """Return the images of training, augmented."""
        transform = train_transform(self.recipe.data)
        return Transformed(self.train_set, transform, self.recipe.seed, self.desks)

    def judged(self) -> Transformed:
        """Return the images of evaluation as they are."""
        return Transformed(self.val_set, eval_transform(self.recipe.data), None, self.val_desks)

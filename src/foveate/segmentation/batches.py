"""From a data set of class maps to batches: squares in training, whole images in evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from foveate.core import Words, expected
from foveate.data import Unreadable
from foveate.segmentation.data import IGNORED, KeptMaps, MapDataset, MapSample, open_segmentation
from foveate.segmentation.recipe import SegmentationDataSection, SegmentationRecipe
from foveate.training.data_module import KeyedData
from foveate.training.loading import MEMORY_LIMIT_BYTES
from foveate.training.shown import Shown, parted

Batch = dict[str, Any]


def open_maps(data: SegmentationDataSection) -> tuple[MapDataset, MapDataset]:
    """Open the training and the validation images of a recipe; small ones are kept in memory.

    Raises:
        ValueError: If the two do not have the same classes.
    """
    pair: list[MapDataset] = []
    for split, limit in (("train", data.limit_train), ("val", data.limit_val)):
        dataset = open_segmentation(
            data.source, split, size=data.size, seed=data.seed, limit=limit, **data.options
        )
        pair.append(KeptMaps(dataset) if _fits(dataset, data) else dataset)
    train, val = pair
    if train.classes != val.classes:
        got = Words(f"{list(train.classes)} and {list(val.classes)}")
        who = f"data source {data.source!r}"
        raise ValueError(expected(who, "the same classes in train and val", got))
    return train, val


def _fits(dataset: MapDataset, data: SegmentationDataSection) -> bool:
    """Judge by its first image whether a data set fits into memory."""
    if data.workers or not len(dataset):
        return False
    first = dataset[0]
    if isinstance(first, Unreadable):
        return False
    return 4 * first.classes.numel() * len(dataset) <= MEMORY_LIMIT_BYTES


def as_batch(items: Sequence[tuple[MapSample | Unreadable, bool]]) -> Batch:
    """Put items into the plain types that every accelerator and worker process can move.

    Returns:
        ``images`` and ``maps`` (lists of (3, H, W) and (H, W) uint8), ``indices``, ``counted``
        (whether an image is no filling of the last share) and ``unreadable``.
    """
    samples, said = parted(items)
    return {
        "images": [sample.image for sample in samples],
        "maps": [sample.classes for sample in samples],
        "indices": [sample.index for sample in samples],
        **said,
    }


def changes_of(data: SegmentationDataSection) -> Callable[[MapSample], MapSample]:
    """What makes a square of an image in training, by draws from torch's global generator."""
    fill = tuple(round(255 * value) for value in data.mean)
    if data.augment == "scale_crop":
        return partial(scaled_crop, side=data.size, scales=data.scales, fill=fill)
    return partial(_whole, side=data.size, flip=data.augment == "flip", fill=fill)


def _whole(sample: MapSample, side: int, flip: bool, fill: Sequence[int]) -> MapSample:
    height, width = sample.classes.shape
    factor = side / max(height, width)
    image, classes = _resized(sample, max(1, round(height * factor)), max(1, round(width * factor)))
    image, classes = _padded(image, classes, side, fill)
    return (
        _flipped(replace(sample, image=image, classes=classes))
        if flip
        else replace(sample, image=image, classes=classes)
    )


def scaled_crop(
    sample: MapSample, side: int, scales: tuple[float, float], fill: Sequence[int]
) -> MapSample:
    """Scale an image at random, cut a square out of it at random, and flip every other one.

    Args:
        sample: An image of any size.
        side: Of the square, in pixels.
        scales: The least and the largest factor; their logarithm is drawn evenly.
        fill: Color of what lies outside of the image, where the map is ``IGNORED``.
    """
    low, high = scales
    factor = low * (high / low) ** float(torch.rand(()))
    height, width = (max(1, round(edge * factor)) for edge in sample.classes.shape)
    image, classes = _padded(*_resized(sample, height, width), side, fill)
    top, left = (int(torch.rand(()) * (edge - side + 1)) for edge in classes.shape)
    image = image[:, top : top + side, left : left + side]
    classes = classes[top : top + side, left : left + side]
    return _flipped(replace(sample, image=image, classes=classes))


def _flipped(sample: MapSample) -> MapSample:
    if torch.rand(()) >= 0.5:
        return sample
    return replace(sample, image=sample.image.flip(2), classes=sample.classes.flip(1))


def _resized(sample: MapSample, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Bring image and map to a size: the one smoothly, the other to the nearest class."""
    if sample.classes.shape == (height, width):
        return sample.image, sample.classes
    classes = interpolate(sample.classes[None, None], size=(height, width), mode="nearest-exact")
    return resized_image(sample.image, height, width), classes[0, 0]


def resized_image(image: Tensor, height: int, width: int) -> Tensor:
    """Bring an image (3, H, W) uint8 to a size, smoothly."""
    return interpolate(image[None], size=(height, width), mode="bilinear", antialias=True)[0]


def _padded(
    image: Tensor, classes: Tensor, side: int, fill: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Fill up to a square of a side, to the right and below."""
    below, right = (max(0, side - edge) for edge in classes.shape)
    if not (below or right):
        return image, classes
    channels = [
        pad(channel, (0, right, 0, below), value=value)
        for channel, value in zip(image, fill, strict=True)
    ]
    return torch.stack(channels), pad(classes, (0, right, 0, below), value=IGNORED)


class MapData(KeyedData):
    """The images of a segmenter's recipe for Lightning.

    Args:
        recipe: Its ``data`` section, ``seed`` and batch size count.
        data: Data sets (train, val) that are open already; otherwise they are opened here.
    """

    recipe: SegmentationRecipe
    train_set: MapDataset
    val_set: MapDataset

    def __init__(
        self, recipe: SegmentationRecipe, data: tuple[MapDataset, MapDataset] | None = None
    ) -> None:
        super().__init__(recipe, *(data or open_maps(recipe.data)), collate=as_batch)

    def learnt(self) -> Shown:
        """Return the images of training, augmented."""
        return Shown(self.train_set, changes_of(self.recipe.data), self.recipe.seed, self.desks)

    def judged(self) -> Shown:
        """Return the images of evaluation as they are."""
        return Shown(self.val_set, desks=self.val_desks)

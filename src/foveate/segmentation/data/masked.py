"""Images whose objects have exact masks: generated scenes, and folders that ``scenes`` writes."""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.data import ImageDataset, Unreadable
from foveate.segmentation.data.samples import BACKGROUND, MapDataset


class MaskedImages(MapDataset):
    """Class maps of the masks of a data set: its objects on a background.

    Where masks overlap, the one listed later lies in front. A marker that decides the class of an
    object belongs to the background.

    Args:
        source: A data set whose ``annotation`` has masks.
    """

    def __init__(self, source: ImageDataset) -> None:
        self.source = source
        self.classes = (BACKGROUND, *source.classes)

    def __len__(self) -> int:
        return len(self.source)

    def name_of(self, index: int) -> str:
        """Return the name of the image."""
        return self.source.name_of(index)

    def read(self, index: int) -> tuple[Tensor, Tensor] | Unreadable:
        """Return an image, and the class of the object that each pixel shows, plus one."""
        item = self.source[index]
        if isinstance(item, Unreadable):
            return item
        note = self.source.annotation(index)
        if note is None:
            rule, remedy = "a mask of its objects", "write the folder with foveate scenes"
            raise ValueError(expected(self.name_of(index), rule, Words("none"), remedy))
        classes = torch.zeros(item.image.shape[1:], dtype=torch.uint8)
        if note.mask.shape != classes.shape:
            rule = f"masks of its size {tuple(classes.shape)}"
            raise ValueError(expected(self.name_of(index), rule, tuple(note.mask.shape)))
        for mask, label in zip(note.masks, note.labels.tolist(), strict=True):
            classes[mask] = label + 1
        return item.image, classes

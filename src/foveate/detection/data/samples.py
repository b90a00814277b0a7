"""One image with its boxes, and what every data set of boxes offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from foveate.data import Unreadable
from foveate.data.samples import check_index
from foveate.detection.data.problems import Problems
from foveate.detection.data.table import Objects, Shown, Size, as_truth, edges_of


@dataclass(frozen=True)
class DetectionSample:
    """A readable image with the objects in it.

    Attributes:
        image: (3, H, W) uint8.
        boxes: (M, 4) float32, x1 y1 x2 y2 in pixels, half-open, inside the image.
        labels: (M,) int64, places among the classes.
        crowd: (M,) bool: boxes that stand for many objects, or that nobody has to find.
        areas: (M,) float32, in pixels, by which objects are small, medium or large.
        index: Place in the data set.
        image_id: How the annotation file calls the image.
        name: How users know it.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    areas: Tensor
    index: int
    image_id: int
    name: str


class DetectionDataset(ABC):
    """Images with boxes.

    Attributes:
        classes: Names by label.
        category_ids: What the annotation file calls the classes, by label.
        problems: What is wrong in the annotations.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    problems: Problems

    @abstractmethod
    def __len__(self) -> int:
        """Count the images."""

    @abstractmethod
    def read(self, index: int) -> Tensor | Unreadable:
        """Return image ``index``, at least 0, as (3, H, W) uint8, or why it cannot be read."""

    @abstractmethod
    def shown(self, index: int) -> Shown:
        """Return id, name and size of image ``index``, at least 0, without reading it."""

    @abstractmethod
    def objects_of(self, index: int) -> Objects:
        """Return the objects in image ``index``, at least 0: (M,) of ``table.OBJECT``."""

    def __getitem__(self, index: int) -> DetectionSample | Unreadable:
        """Return an image with its boxes; one that cannot be read is never another.

        Raises:
            IndexError: If there is no such place.
        """
        index = check_index(index, len(self))
        image = self.read(index)
        if isinstance(image, Unreadable):
            return image
        objects = self.objects_of(index)
        boxes = torch.from_numpy(edges_of(objects)).float()
        height, width = image.shape[1:]
        boxes = torch.minimum(boxes, torch.tensor([width, height, width, height]))
        # What the annotations could not know: an image that turns out smaller.
        inside = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        return DetectionSample(
            image=image,
            boxes=boxes[inside],
            labels=torch.from_numpy(objects["label"].copy())[inside],
            crowd=torch.from_numpy(objects["crowd"].copy())[inside],
            areas=torch.from_numpy(objects["area"].astype("f4"))[inside],
            index=index,
            image_id=self.image_id_of(index),
            name=self.name_of(index),
        )

    def image_id_of(self, index: int) -> int:
        """Return what the annotation file calls an image."""
        return self.shown(index).number

    def name_of(self, index: int) -> str:
        """Return the name of an image."""
        return self.shown(index).name

    def size_of(self, index: int) -> Size | None:
        """Return height and width in pixels, upright; None if nobody knows."""
        return self.shown(index).size

    def truth(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        """Return what counts in these images, all by default, in COCO's format.

        Annotations count from 1; sizes that nobody knows are 0.
        """
        places = range(len(self)) if indices is None else indices
        return as_truth(
            [self.shown(place) for place in places],
            [self.objects_of(place) for place in places],
            dict(zip(self.category_ids, self.classes, strict=True)),
        )

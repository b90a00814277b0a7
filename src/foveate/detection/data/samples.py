"""One image with its boxes, and what every data set of boxes offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from foveate.data import Unreadable
from foveate.detection.data.problems import Problems


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
    def __getitem__(self, index: int) -> DetectionSample | Unreadable:
        """Return an image with its boxes; one that cannot be read is never another."""

    @abstractmethod
    def image_id_of(self, index: int) -> int:
        """Return what the annotation file calls an image."""

    @abstractmethod
    def name_of(self, index: int) -> str:
        """Return the name of an image."""

    @abstractmethod
    def size_of(self, index: int) -> tuple[int, int] | None:
        """Return height and width in pixels; None if the file does not say."""

    @abstractmethod
    def objects_of(self, index: int) -> list[dict[str, Any]]:
        """Return ``bbox`` (x y width height), ``area``, ``category_id``, ``iscrowd`` of each."""

    def truth(self, indices: Sequence[int] | None = None) -> dict[str, Any]:
        """Return what counts in these images, all by default, in COCO's format."""
        places = range(len(self)) if indices is None else indices
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for place in places:
            height, width = self.size_of(place) or (0, 0)
            image = self.image_id_of(place)
            images.append(
                {"id": image, "file_name": self.name_of(place), "height": height, "width": width}
            )
            for one in self.objects_of(place):
                number = len(annotations) + 1
                annotations.append({"id": number, "image_id": image, **one})
        categories = [
            {"id": number, "name": name}
            for number, name in zip(self.category_ids, self.classes, strict=True)
        ]
        return {"images": images, "annotations": annotations, "categories": categories}

"""What annotations soundly say of all images, in few arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.detection.data.problems import Problems

OBJECT = np.dtype([("bbox", "f8", (4,)), ("area", "f8"), ("label", "i8"), ("crowd", "?")])
"""An object: COCO's x y width height, its area, the place of its class, whether it is a crowd."""

Objects = NDArray[np.void]
Size = tuple[int, int]


def as_objects(rows: Iterable[tuple[Sequence[float], float, int, bool]]) -> Objects:
    """Put ``(bbox, area, label, crowd)`` of each object into an array of ``OBJECT``."""
    return np.array([(tuple(box), *rest) for box, *rest in rows], dtype=OBJECT)


def edges_of(objects: Objects) -> NDArray[np.float64]:
    """Return x1 y1 x2 y2, (M, 4) float64, of objects."""
    corner, sides = objects["bbox"][:, :2], objects["bbox"][:, 2:]
    return np.concatenate([corner, corner + sides], axis=1)


@dataclass(frozen=True)
class Shown:
    """An image of an annotation file.

    Attributes:
        number: Its id.
        name: Its file name.
        size: Height and width in pixels, upright; None if nobody knows.
    """

    number: int
    name: str
    size: Size | None


@dataclass(frozen=True)
class BoxTable:
    """The sound part of annotations.

    Attributes:
        images: In the order of the file.
        categories: Name by id; a label is the place in it.
        objects: Of all images, image by image. One array instead of a million dictionaries, which
            worker processes would copy one by one.
        ends: (N + 1,) int64: the objects of image ``i`` lie from ``ends[i]`` to ``ends[i + 1]``.
        problems: What else was in the file.
    """

    images: tuple[Shown, ...]
    categories: Mapping[int, str]
    objects: Objects
    ends: NDArray[np.int64]
    problems: Problems

    @classmethod
    def of(
        cls,
        images: Sequence[Shown],
        categories: Mapping[int, str],
        objects: Sequence[Objects],
        problems: Problems,
    ) -> BoxTable:
        """Build it from the objects of each image."""
        ends = np.cumsum([0, *map(len, objects)], dtype=np.int64)
        stacked = np.concatenate([np.zeros(0, OBJECT), *objects])
        return cls(tuple(images), categories, stacked, ends, problems)

    def objects_of(self, index: int) -> Objects:
        """Return the objects of an image."""
        return self.objects[self.ends[index] : self.ends[index + 1]]

    def only(self, places: Sequence[int]) -> BoxTable:
        """Return the table of these images; the problems stay those of all."""
        images = [self.images[place] for place in places]
        objects = [self.objects_of(place) for place in places]
        return BoxTable.of(images, self.categories, objects, self.problems)


def as_truth(
    images: Sequence[Shown],
    objects: Sequence[Objects],
    categories: Mapping[int, str],
) -> dict[str, Any]:
    """Put images and the objects of each into COCO's format; annotations count from 1."""
    numbers = list(categories)
    annotations: list[dict[str, Any]] = []
    for image, those in zip(images, objects, strict=True):
        columns = (those[name].tolist() for name in ("bbox", "area", "label", "crowd"))
        for bbox, area, label, crowd in zip(*columns, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image.number,
                    "category_id": numbers[label],
                    "bbox": bbox,
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    return {
        "images": [
            {
                "id": image.number,
                "file_name": image.name,
                "height": (image.size or (0, 0))[0],
                "width": (image.size or (0, 0))[1],
            }
            for image in images
        ],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
    }

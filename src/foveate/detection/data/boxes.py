"""Images on a disk with the boxes of an annotation file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from foveate.data import Unreadable
from foveate.data.coco_turns import stored_size
from foveate.data.images import UnreadableImageError, read_image
from foveate.data.samples import check_index
from foveate.data.split import shuffled
from foveate.detection.data.coco import CocoFile, Header
from foveate.detection.data.problems import Problems
from foveate.detection.data.samples import DetectionDataset, DetectionSample


class BoxFiles(DetectionDataset):
    """The images of an annotation file.

    Args:
        found: The sound part of the file.
        folder: Where the images lie.
    """

    def __init__(self, found: CocoFile, folder: Path) -> None:
        self.found, self.folder = found, folder
        self.classes = tuple(found.categories.values())
        self.category_ids = tuple(found.categories)
        self.problems: Problems = found.problems
        self._label_of = {number: place for place, number in enumerate(found.categories)}

    def __len__(self) -> int:
        return len(self.found.images)

    def image_id_of(self, index: int) -> int:
        """Return what the annotation file calls an image."""
        return int(self.found.images[index]["id"])

    def name_of(self, index: int) -> str:
        """Return the name of an image in the annotation file."""
        return str(self.found.images[index]["file_name"])

    def size_of(self, index: int) -> tuple[int, int] | None:
        """Return height and width in pixels, upright; None if nobody knows."""
        size: tuple[int, int] | None = self.found.images[index]["size"]
        return size

    def objects_of(self, index: int) -> list[dict[str, Any]]:
        """Return ``bbox``, ``area``, ``category_id`` and ``iscrowd`` of each object."""
        return self.found.objects[self.image_id_of(index)]

    def __getitem__(self, index: int) -> DetectionSample | Unreadable:
        index = check_index(index, len(self))
        name = self.name_of(index)
        try:
            image = read_image(self.folder / name)
        except (UnreadableImageError, IsADirectoryError, PermissionError) as error:
            return Unreadable(index, name, str(error))
        return sample_of(self, index, image)


def sample_of(dataset: DetectionDataset, index: int, image: torch.Tensor) -> DetectionSample:
    """Put an image (3, H, W) uint8 and its objects together."""
    objects = dataset.objects_of(index)
    places = {number: place for place, number in enumerate(dataset.category_ids)}
    edges = [[x, y, x + w, y + h] for x, y, w, h in (one["bbox"] for one in objects)]
    boxes = torch.tensor(edges, dtype=torch.float32).reshape(-1, 4)
    height, width = image.shape[1:]
    boxes = torch.minimum(boxes, torch.tensor([width, height, width, height]).float())
    # What the file's size hid: an image that turns out smaller.
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return DetectionSample(
        image=image,
        boxes=boxes[inside],
        labels=torch.tensor([places[o["category_id"]] for o in objects], dtype=torch.int64)[inside],
        crowd=torch.tensor([bool(o["iscrowd"]) for o in objects], dtype=torch.bool)[inside],
        areas=torch.tensor([o["area"] for o in objects], dtype=torch.float32)[inside],
        index=index,
        image_id=dataset.image_id_of(index),
        name=dataset.name_of(index),
    )


def read_header(path: Path) -> Header | None:
    """Return what the head of an image file says; None if there is none or it is no image."""
    try:
        with path.open("rb") as handle:
            size, turn = stored_size(handle.read(1 << 16))
    except (OSError, UnreadableImageError):
        try:  # A head may be longer than usual.
            size, turn = stored_size(path.read_bytes())
        except (OSError, UnreadableImageError):
            return None
    return Header(size, turn)


def chosen(found: CocoFile, limit: int | None, seed: int) -> CocoFile:
    """Keep ``limit`` images by a seeded choice, in the order of the file."""
    if limit is None or limit >= len(found.images):
        return found
    names = [image["file_name"] for image in found.images]
    kept = sorted(shuffled(names, seed)[:limit])
    images = [found.images[place] for place in kept]
    return CocoFile(images, found.objects, found.categories, found.problems)

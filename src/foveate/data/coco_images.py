"""Images with the objects that a COCO annotation file finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.core.reading import parse_json
from foveate.data.coco_masks import decode_segmentation, fill_boxes
from foveate.data.coco_turns import stored_size, turn_boxes, turn_masks
from foveate.data.files import FolderStore, StoreDataset, holds
from foveate.data.samples import Annotation, check_index

_WHO = "open_images"
_RULE = "COCO annotations of objects"
_DAMAGE = (AttributeError, LookupError, OSError, OverflowError, TypeError, ValueError)
"""What a broken tree shows as, wherever it is touched."""


class CocoImages(StoreDataset):
    """The images of a COCO file; the label is the class of the largest object in each.

    Crowds are left out. An image without an object has label -1 and an annotation without boxes.
    Where a photo was annotated lying on its side, its masks and boxes are turned upright with it.

    Args:
        file: The annotations, ``instances_val2017.json`` for one.
        folder: Where the images lie.

    Raises:
        ValueError: If the file is no such JSON.
    """

    def __init__(self, file: Path, folder: Path) -> None:
        try:
            content = parse_json(file.read_bytes(), str(file), _RULE)
            categories = sorted(content["categories"], key=lambda category: category["id"])
            label_of = {category["id"]: place for place, category in enumerate(categories)}
            images = content["images"]
            place_of = {image["id"]: place for place, image in enumerate(images)}
            self._objects: list[list[tuple[int, dict[str, Any]]]] = [[] for _ in images]
            for entry in content["annotations"]:
                if not entry.get("iscrowd"):
                    found = (label_of[entry["category_id"]], entry)
                    self._objects[place_of[entry["image_id"]]].append(found)
            self._sizes = [(int(image["height"]), int(image["width"])) for image in images]
            labels = [_largest(objects) for objects in self._objects]
            keys = [str(image["file_name"]) for image in images]
            names = [str(category["name"]) for category in categories]
        except _DAMAGE as error:
            got = Words(f"{type(error).__name__}: {error}")
            raise ValueError(expected(str(file), _RULE, got)) from error
        if not keys:
            raise ValueError(expected(str(file), "at least one image", 0))
        super().__init__(FolderStore(folder), keys, labels, names)

    def annotation(self, index: int) -> Annotation | None:
        """Return the objects of image ``index``; ``mask`` holds all those of the label's class.

        An object without a segmentation has its box for a mask.

        Returns:
            None if the image cannot be read, is not of the size that the file says, or an entry
            is damaged.
        """
        index = check_index(index, len(self))
        height, width = self._sizes[index]
        try:
            stored, turn = stored_size(self.read_bytes(index))
            upright = (stored[1], stored[0]) if turn >= 5 else stored
            if (height, width) not in (upright, stored):
                return None
            # The mask is built for what was annotated, then turned as the image is.
            masks = [_mask(entry, height, width) for _, entry in self._objects[index]]
            edges = [_box(entry) for _, entry in self._objects[index]]
        except _DAMAGE:
            return None
        stacked = torch.stack(masks) if masks else torch.zeros(0, height, width, dtype=torch.bool)
        boxes = torch.tensor(edges, dtype=torch.float32).reshape(-1, 4)
        if (height, width) != upright:
            stacked, boxes = turn_masks(stacked, turn), turn_boxes(boxes, stored, turn)
        labels = torch.tensor([label for label, _ in self._objects[index]], dtype=torch.int64)
        mask = stacked[labels == self.labels[index]].any(dim=0)
        return Annotation(boxes, labels, mask, stacked)


def open_coco(place: str) -> CocoImages:
    """Open ``ANNOTATIONS.json[:IMAGES_FOLDER]``.

    Without a folder, the images are looked for beside the file, then in ``val2017`` for an
    ``annotations/instances_val2017.json``, as COCO lays them out.

    Raises:
        ValueError: If the file or the folder is missing, or the images are not in it.
    """
    head, colon, tail = place.rpartition(".json:")
    file = Path(f"{head}.json" if colon else place).expanduser()
    if not file.is_file():
        rule = "coco:ANNOTATIONS.json[:IMAGES_FOLDER], with a file that exists"
        raise ValueError(expected(_WHO, rule, str(file)))
    split = file.stem.rpartition("_")[2]
    guesses = [file.parent, file.parent.parent / split, file.parent / split, file.parent.parent]
    folders = [Path(tail).expanduser()] if colon else guesses
    if colon and not folders[0].is_dir():
        raise ValueError(expected(_WHO, "a folder of the images that exists", str(folders[0])))
    dataset = CocoImages(file, folders[0])
    first = [dataset.key_of(place) for place in range(min(len(dataset), 20))]
    for folder in folders:
        if any(holds(folder, key) for key in first):
            dataset.store = FolderStore(folder)
            return dataset
    where = " or ".join(str(folder) for folder in folders)
    remedy = f"name their folder, coco:{file}:FOLDER"
    raise ValueError(expected(_WHO, f"{first[0]} in {where}", Words("no such file"), remedy))


def _largest(objects: Sequence[tuple[int, dict[str, Any]]]) -> int:
    """Return the class of the largest object, of equal ones the first; -1 without any."""
    if not objects:
        return -1
    areas = [entry.get("area") or entry["bbox"][2] * entry["bbox"][3] for _, entry in objects]
    return objects[areas.index(max(areas))][0]


def _box(entry: dict[str, Any]) -> list[float]:
    x, y, width, height = (float(value) for value in entry["bbox"])
    return [x, y, x + width, y + height]


def _mask(entry: dict[str, Any], height: int, width: int) -> Tensor:
    if entry.get("segmentation"):
        return decode_segmentation(entry["segmentation"], height, width)
    return fill_boxes(torch.tensor(_box(entry)), height, width)[0]

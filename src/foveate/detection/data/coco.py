"""Annotations of boxes in COCO's format, checked whole before anything is done with them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from foveate.core import Words, expected
from foveate.data.coco import to_xywh
from foveate.data.coco_turns import turn_boxes
from foveate.detection.data.problems import Problems

Tree = dict[str, Any]


@dataclass
class CocoFile:
    """The sound part of an annotation file.

    Attributes:
        images: ``id``, ``file_name``, and ``height`` and ``width`` where known.
        objects: By image id: ``bbox``, ``area``, ``category_id``, ``iscrowd`` of each.
        categories: Name by id, in the order of the ids.
        problems: What else was in the file.
    """

    images: list[Tree] = field(default_factory=list)
    objects: dict[int, list[Tree]] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)


@dataclass(frozen=True)
class Header:
    """What the head of an image file says.

    Attributes:
        stored: Height and width as the file stores it.
        turn: EXIF orientation, 1 for upright.
    """

    stored: tuple[int, int]
    turn: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Height and width as it is shown."""
        return self.stored if self.turn < 5 else (self.stored[1], self.stored[0])


HeaderOf = Callable[[str], Header | None]


def read_coco(file: Path, header_of: HeaderOf | None = None) -> CocoFile:
    """Read and check a whole file in one pass.

    Args:
        file: The JSON file.
        header_of: The head of an image by its file name, None if it has none that can be read;
            left out, images are not looked at. Boxes of a photo that was annotated lying on its
            side are turned upright with it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or has not the lists of COCO's format, or no sound image or
            category at all.
    """
    who, rule = str(file), "COCO annotations: images, annotations and categories"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(expected("detection data", "a COCO file", str(file))) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(expected(who, rule, Words(f"{type(error).__name__}: {error}"))) from error
    lists = ("images", "annotations", "categories")
    lacking = [
        name
        for name in lists
        if not isinstance(content, dict) or not isinstance(content.get(name), list)
    ]
    if lacking:
        raise ValueError(expected(who, rule, Words(f"no list of {', '.join(lacking)}")))
    found = CocoFile()
    _take_categories(found, content["categories"])
    _take_images(found, content["images"], header_of)
    if not found.images or not found.categories:
        got = Words(f"{len(found.images)} images, {len(found.categories)} categories")
        remedy = f"what is wrong: {found.problems}" if found.problems else "add some"
        raise ValueError(expected(who, "at least one image and one category", got, remedy))
    _take_annotations(found, content["annotations"])
    return found


def _number(value: Any) -> int | None:
    """An id: a whole number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _text(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _take_categories(found: CocoFile, entries: list[Any]) -> None:
    known: dict[int, str] = {}
    for entry in entries:
        number = _number(entry.get("id")) if isinstance(entry, Mapping) else None
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if number is None or not isinstance(name, str):
            found.problems.note("malformed", f"category {_text(entry)}")
        elif number in known or name in known.values():
            found.problems.note("repeated category", f"{name} ({number})")
        else:
            known[number] = name
    found.categories = dict(sorted(known.items()))


def _take_images(found: CocoFile, entries: list[Any], header_of: HeaderOf | None) -> None:
    for entry in entries:
        number = _number(entry.get("id")) if isinstance(entry, Mapping) else None
        name = entry.get("file_name") if isinstance(entry, Mapping) else None
        if number is None or not isinstance(name, str) or not name:
            found.problems.note("malformed", f"image {_text(entry)}")
            continue
        if number in found.objects:
            found.problems.note("repeated image", f"{name} ({number})")
            continue
        said = tuple(_number(entry.get(key)) or 0 for key in ("height", "width"))
        size = said if min(said) > 0 else None
        image = {"id": number, "file_name": name, "size": size, "turn": 1}
        if header_of is not None:
            _compare(image, header_of(name), found.problems)
        found.images.append(image)
        found.objects[number] = []


def _compare(image: Tree, header: Header | None, problems: Problems) -> None:
    """Set the size of an image to the real one, in which its boxes are or to which they turn."""
    name, size = image["file_name"], image["size"]
    if header is None:
        problems.note("missing image", name)
    elif size in (None, header.upright):
        image["size"] = header.upright
    elif size == header.stored:
        image["turn"] = header.turn
    else:
        height, width = header.upright
        problems.note("size", f"{name} ({width}x{height}, not {size[1]}x{size[0]})")
        image["size"] = header.upright


def _take_annotations(found: CocoFile, entries: list[Any]) -> None:
    names = {image["id"]: image["file_name"] for image in found.images}
    sizes = {image["id"]: image["size"] for image in found.images}
    seen: set[Any] = set()
    for place, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            found.problems.note("malformed", f"annotation {_text(entry)}")
            continue
        number = _number(entry.get("id"))
        title = f"annotation {place if number is None else number}"
        if number is not None and number in seen:
            found.problems.note("repeated annotation", title)
        seen.add(number)
        image, category = _number(entry.get("image_id")), _number(entry.get("category_id"))
        if image is None or image not in names:
            found.problems.note("unknown image", f"{title} ({_text(entry.get('image_id'))})")
            continue
        title = f"{title} of {names[image]}"
        if category is None or category not in found.categories:
            found.problems.note("unknown category", f"{title} ({_text(entry.get('category_id'))})")
            continue
        box = sound_box(entry.get("bbox"), sizes[image], found.problems, title)
        if box is None:
            continue
        crowd = bool(_number(entry.get("iscrowd")) or _number(entry.get("ignore")))
        if crowd:
            found.problems.note("crowd", title)
        area = entry.get("area")
        known = isinstance(area, (int, float)) and not isinstance(area, bool)
        sound = known and math.isfinite(area) and area > 0
        found.objects[image].append(
            {
                "bbox": box,
                "area": float(area) if sound else box[2] * box[3],
                "category_id": category,
                "iscrowd": int(crowd),
            }
        )
    for image in found.images:
        _turn_(image, found.objects[image["id"]])
        if not found.objects[image["id"]]:
            found.problems.note("empty", image["file_name"])


def _turn_(image: Tree, objects: list[Tree]) -> None:
    """Turn the boxes of an image that was annotated as it is stored."""
    turn, size = image.pop("turn"), image["size"]
    if turn == 1 or size is None:
        return
    if objects:
        edges = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in (o["bbox"] for o in objects)])
        for one, box in zip(objects, turn_boxes(edges, size, turn), strict=True):
            one["bbox"] = to_xywh(box)
    image["size"] = size if turn < 5 else (size[1], size[0])


def sound_box(
    box: Any, size: tuple[int, int] | None, problems: Problems, title: str
) -> list[float] | None:
    """Return x y width height cut to the image; None, and a note, if nothing is left."""
    numbers = list(box) if isinstance(box, (list, tuple)) else []
    plain = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if len(numbers) != 4 or not plain or not all(abs(n) < 1e9 for n in numbers):
        problems.note("malformed box", f"{title} ({_text(box)})")
        return None
    x, y, width, height = (float(n) for n in numbers)
    if width <= 0 or height <= 0:
        problems.note("no area", title)
        return None
    if size is None:
        return [x, y, width, height]
    x1, y1 = max(x, 0.0), max(y, 0.0)
    x2, y2 = min(x + width, float(size[1])), min(y + height, float(size[0]))
    if x2 <= x1 or y2 <= y1:
        problems.note("far outside", title)
        return None
    # Annotators round: what is outside by less than a hundredth of a pixel is not.
    if max(x1 - x, y1 - y, x + width - x2, y + height - y2) > 0.01:
        problems.note("outside", title)
    return [x1, y1, x2 - x1, y2 - y1]

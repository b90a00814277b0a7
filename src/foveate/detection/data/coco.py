"""Annotations of boxes in COCO's format, checked whole before anything is done with them."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foveate.core import Words, expected
from foveate.data.coco import to_xywh
from foveate.data.coco_turns import turn_boxes
from foveate.detection.data.headers import Header, HeaderOf, headers_in
from foveate.detection.data.problems import Problems
from foveate.detection.data.table import BoxTable, Objects, Shown, Size, as_objects, edges_of

Tree = dict[str, Any]

_RULE = "COCO annotations: images, annotations and categories"
_LISTS = ("images", "annotations", "categories")
_REACH = 1e9
_ROUNDING = 0.01


def read_coco(file: Path, images: Path | None = None, *, check_images: bool = True) -> BoxTable:
    """Read and check a whole annotation file in one pass.

    Args:
        file: The JSON file.
        images: The folder that its file names are relative to; None for the one it lies in.
        check_images: Whether to look at the head of each image: whether it is there and of the
            size that the file says. Boxes of a photo that was annotated lying on its side are
            turned upright with it. Without, sizes are those of the file.

    Returns:
        What is sound, and with it the problems: everything else, counted and named.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or has not the lists of COCO's format, or no sound image or
            category at all.
    """
    look = headers_in(images or file.parent) if check_images else None
    return check_coco(load_coco(file), str(file), look)


def load_coco(file: Path) -> Tree:
    """Read a file that has COCO's lists, whatever is in them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, or lacks one of the lists.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileNotFoundError(expected("detection data", "a COCO file", str(file))) from None
    except (OSError, ValueError, RecursionError) as error:
        got = Words(f"{type(error).__name__}: {error}")
        raise ValueError(expected(str(file), _RULE, got)) from error
    if not isinstance(content, dict):
        raise ValueError(expected(str(file), _RULE, Words(f"a {type(content).__name__}")))
    lacking = [name for name in _LISTS if not isinstance(content.get(name), list)]
    if lacking:
        raise ValueError(expected(str(file), _RULE, Words(f"no list of {', '.join(lacking)}")))
    return content


def check_coco(
    content: Mapping[str, Sequence[Any]],
    who: str,
    header_of: HeaderOf | None = None,
    problems: Problems | None = None,
) -> BoxTable:
    """Check what ``load_coco`` returned.

    Args:
        content: Lists of images, annotations and categories.
        who: Where they are from, for the error.
        header_of: The head of an image by its file name, None if it has none that can be read;
            left out, images are not looked at.
        problems: What was found before; more is noted in it.

    Raises:
        ValueError: If no image or no category is sound.
    """
    problems = Problems() if problems is None else problems
    categories = _categories(content["categories"], problems)
    turns = _images(content["images"], header_of, problems)
    images = [image for image, _ in turns]
    if not images or not categories:
        got = Words(f"{len(images)} images and {len(categories)} categories")
        remedy = f"what is wrong: {problems}" if problems else ""
        raise ValueError(expected(who, "at least one image and one category", got, remedy))
    # Boxes are checked where they were drawn, then turned with their image.
    drawn = [image.size if turn == 1 else _lying(image.size) for image, turn in turns]
    rows = _Rows(images, drawn, list(categories), problems)
    for place, entry in enumerate(content["annotations"]):
        rows.take(place, entry)
    objects = [as_objects(those) for those in rows.taken]
    for those, size, (image, turn) in zip(objects, drawn, turns, strict=True):
        if not len(those):
            problems.note("empty", image.name)
        elif turn > 1 and size is not None:
            _turn_(those, size, turn)
    return BoxTable.of(images, categories, objects, problems)


def _number(value: Any) -> int | None:
    """Return an id: a whole number, small enough to be one in every format."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if abs(value) < 2**53 and value == int(value) else None


def _name(value: Any) -> str | None:
    """Return a name that files and terminals can have."""
    if not isinstance(value, str) or not value or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _get(entry: Any, key: str) -> Any:
    return entry.get(key) if isinstance(entry, Mapping) else None


def _categories(entries: Sequence[Any], problems: Problems) -> dict[int, str]:
    known: dict[int, str] = {}
    names: set[str] = set()
    for entry in entries:
        number, name = _number(_get(entry, "id")), _name(_get(entry, "name"))
        if number is None or name is None:
            problems.note("malformed", f"category {reprlib.repr(entry)}")
        elif number in known or name in names:
            problems.note("repeated category", f"{name} ({number})")
        else:
            known[number] = name
            names.add(name)
    return dict(sorted(known.items()))


def _images(
    entries: Sequence[Any], header_of: HeaderOf | None, problems: Problems
) -> list[tuple[Shown, int]]:
    """Return the images, and the EXIF orientation by which the boxes of each are to be turned."""
    images: list[tuple[Shown, int]] = []
    numbers: set[int] = set()
    names: set[str] = set()
    for entry in entries:
        number, name = _number(_get(entry, "id")), _name(_get(entry, "file_name"))
        if number is None or name is None:
            problems.note("malformed", f"image {reprlib.repr(entry)}")
            continue
        if number in numbers:
            problems.note("repeated image", f"{name} ({number})")
            continue
        if name in names:
            problems.note("repeated file", f"{name} ({number})")
        numbers.add(number)
        names.add(name)
        height, width = (_number(entry.get(key)) or 0 for key in ("height", "width"))
        size = (height, width) if min(height, width) > 0 else None
        turn = 1
        if header_of is not None:
            size, turn = _compare(name, size, header_of(name), problems)
        images.append((Shown(number, name, size), turn))
    return images


def _compare(
    name: str, said: Size | None, header: Header | None, problems: Problems
) -> tuple[Size | None, int]:
    """Return the upright size of an image, and the turn of boxes drawn on it lying; else 1."""
    if header is None:
        problems.note("missing image", name)
        return said, 1
    if said == header.stored != header.upright:
        return header.upright, header.turn
    if said is not None and said != header.upright:
        height, width = header.upright
        problems.note("size", f"{name} ({width}x{height}, not {said[1]}x{said[0]})")
    return header.upright, 1


def _lying(size: Size | None) -> Size | None:
    return None if size is None else (size[1], size[0])


class _Rows:
    """Annotations by image, as they are found sound."""

    def __init__(
        self,
        images: Sequence[Shown],
        sizes: Sequence[Size | None],
        categories: Sequence[int],
        problems: Problems,
    ) -> None:
        self.images, self.sizes, self.problems = images, sizes, problems
        self.taken: list[list[tuple[list[float], float, int, bool]]] = [[] for _ in images]
        self._place_of = {image.number: place for place, image in enumerate(images)}
        self._label_of = {number: label for label, number in enumerate(categories)}
        self._seen: set[int] = set()

    def take(self, place: int, entry: Any) -> None:
        """Check the annotation at ``place`` of the file; keep it or note why not."""
        note = self.problems.note
        if not isinstance(entry, Mapping):
            note("malformed", f"annotation {reprlib.repr(entry)}")
            return
        number = _number(entry.get("id"))
        title = f"annotation at {place}" if number is None else f"annotation {number}"
        if number is None:
            note("no id", title)
        elif number in self._seen:
            note("repeated annotation", title)
        else:
            self._seen.add(number)
        image, category = _number(entry.get("image_id")), _number(entry.get("category_id"))
        if image is None or image not in self._place_of:
            note("unknown image", f"{title} ({reprlib.repr(entry.get('image_id'))})")
            return
        home = self._place_of[image]
        title = f"{title} of {self.images[home].name}"
        if category is None or category not in self._label_of:
            note("unknown category", f"{title} ({reprlib.repr(entry.get('category_id'))})")
            return
        box = _sound_box(entry.get("bbox"), self.sizes[home], self.problems, title)
        if box is None:
            return
        crowd = bool(_number(entry.get("iscrowd")) or _number(entry.get("ignore")))
        if crowd:
            note("crowd", title)
        area = _area(entry.get("area"), box)
        self.taken[home].append((box, area, self._label_of[category], crowd))


def _area(area: Any, box: Sequence[float]) -> float:
    """Return the area that the file says, if it is one; else that of the box."""
    plain = isinstance(area, (int, float)) and not isinstance(area, bool)
    # Neither NaN nor a number beyond all floats passes.
    return float(area) if plain and 0 < area < _REACH**2 else box[2] * box[3]


def _turn_(objects: Objects, size: Size, turn: int) -> None:
    """Turn boxes of an image that was annotated as it is stored."""
    turned = turn_boxes(torch.from_numpy(edges_of(objects)), size, turn)
    objects["bbox"] = np.array([to_xywh(box) for box in turned])


def _sound_box(box: Any, size: Size | None, problems: Problems, title: str) -> list[float] | None:
    """Return x y width height cut to the image; None, and a note, if nothing is left."""
    numbers = box if isinstance(box, (list, tuple)) else []
    plain = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers)
    if len(numbers) != 4 or not plain or not all(abs(n) < _REACH for n in numbers):
        problems.note("malformed box", f"{title} ({reprlib.repr(box)})")
        return None
    x, y, width, height = (float(n) for n in numbers)
    x2, y2 = x + width, y + height
    if not (x2 > x and y2 > y and width * height > 0):
        problems.note("no area", title)
        return None
    if size is None or (x >= 0 and y >= 0 and x2 <= size[1] and y2 <= size[0]):
        return [x, y, width, height]
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x2, float(size[1])), min(y2, float(size[0]))
    if right <= left or bottom <= top:
        problems.note("far outside", title)
        return None
    # Annotators round: what is outside by less than a hundredth of a pixel is not.
    if max(left - x, top - y, x2 - right, y2 - bottom) > _ROUNDING:
        problems.note("outside", title)
    return [left, top, right - left, bottom - top]

"""Large images cut into crops of one size, as a COCO data set on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from foveate.core import check_positive_int, check_ratio, expected, require
from foveate.data import Unreadable
from foveate.data.split import shuffled, split_places
from foveate.detection.data.samples import DetectionDataset
from foveate.detection.data.table import Objects, Shown, edges_of
from foveate.detection.data.writing import Split, WrittenBoxes, whole_folder, write_splits

_WHO = "tile"


@dataclass(frozen=True)
class Window:
    """A part of an image, in pixels, half-open.

    Attributes:
        top: First row.
        left: First column.
        bottom: Row behind the last.
        right: Column behind the last.
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


def tile(
    dataset: DetectionDataset,
    out: Path,
    *,
    side: int = 320,
    overlap: float = 0.1,
    keep: float = 0.3,
    val: float = 0.25,
    seed: int = 0,
) -> WrittenBoxes:
    """Cut images into crops and write them in COCO's layout, which ``open_detection`` opens.

    No pixel is in both splits. An image whose longer side has room for two crops is cut across
    it: a strip at one end, of whole crops, about the share ``val`` of the image, is for
    validation, the rest for training. Smaller images go to one of the two as a whole. Within its
    part, crops are spread evenly, and nothing is padded. An object on the edge between two crops
    is in both of them.

    The folder holds ``train/*.png``, ``val/*.png`` and ``annotations/{split}.json``, in which an
    image's entry says beyond COCO's format from which ``source`` it was cut and where the
    ``corner`` (row, column) of the crop lay. It is written beside ``out`` and moved there at the
    end.

    Args:
        dataset: Images with boxes.
        out: A new or empty folder.
        side: Of the crops, in pixels; images that are smaller stay as they are.
        overlap: Least share of its side that a crop for training shares with the next; those for
            validation share no more than they must to be whole.
        keep: Share of a box that a crop must show for it to be an object there. What is left of
            others is a crowd: neither trained on nor counted, since nobody can be told to find
            it, nor be wrong in finding it.
        val: Share of the pixels for validation, at most one half.
        seed: Of which end of an image, and which small images, are for validation.

    Raises:
        OSError: If it cannot be written.
        TypeError: If a number is none.
        ValueError: If ``out`` is not empty, an option is out of range, or nothing is left for a
            split.
    """
    check_positive_int(_WHO, "side", side)
    check_positive_int(_WHO, "seed", seed, minimum=0)
    check_ratio(_WHO, "val", val, 0.5)
    check_ratio(_WHO, "keep", keep)
    if not 0 <= overlap < 1:
        raise ValueError(expected(_WHO, "overlap in [0, 1)", overlap))
    pillow = require("PIL.Image", "models", "writing images")
    names = [dataset.name_of(place) for place in range(len(dataset))]
    _, small = split_places([0] * len(names), names, seed, val)
    splits, unreadable = {"train": Split(), "val": Split()}, []
    with whole_folder(_WHO, out) as root:
        for split in splits:
            (root / split).mkdir()
        for place, name in enumerate(names):
            image = dataset.read(place)
            if isinstance(image, Unreadable):
                unreadable.append(image)
                continue
            size = (image.shape[1], image.shape[2])
            low = shuffled([f"{name} low", f"{name} high"], seed)[0] == 0
            parts = cut_in_two(size, side, val, low) or {
                "val" if place in small else "train": Window(0, 0, *size)
            }
            for split, part in parts.items():
                for window in windows(part, side, overlap if split == "train" else 0.0):
                    corner = (window.top, window.left)
                    file = f"{split}/{place:04d}-{Path(name).stem}-{corner[0]}-{corner[1]}.png"
                    pillow.fromarray(_pixels(image, window)).save(root / file)
                    shown = Shown(len(splits[split].images) + 1, file, window.size)
                    objects = cut(dataset.objects_of(place), window, keep)
                    splits[split].add(shown, objects, source=name, corner=corner)
        categories = dict(zip(dataset.category_ids, dataset.classes, strict=True))
        info = {"side": side, "overlap": overlap, "keep": keep, "val": val, "seed": seed}
        images, objects_in = write_splits(_WHO, root, splits, categories, info)
    return WrittenBoxes(out, images, objects_in, unreadable)


def cut_in_two(size: tuple[int, int], side: int, val: float, low: bool) -> dict[str, Window] | None:
    """Return the parts for training and validation of an image of ``size``.

    Args:
        size: Height and width.
        side: Of the crops.
        val: Share for validation.
        low: Whether validation has the end where rows or columns begin.

    Returns:
        None if the longer side has no room for two crops.

    Example:
        >>> cut_in_two((100, 50), side=20, val=0.25, low=True)["val"]
        Window(top=0, left=0, bottom=20, right=50)
    """
    longer = max(size)
    if longer < 2 * side:
        return None
    strip = side * min(max(1, round(val * longer / side)), longer // side - 1)
    edge = strip if low else longer - strip
    if size[0] == longer:
        ends = Window(0, 0, edge, size[1]), Window(edge, 0, *size)
    else:
        ends = Window(0, 0, size[0], edge), Window(0, edge, *size)
    return {"val": ends[0], "train": ends[1]} if low else {"train": ends[0], "val": ends[1]}


def windows(part: Window, side: int, overlap: float) -> Iterator[Window]:
    """Return crops that cover a part, row by row, spread evenly.

    Example:
        >>> [window.left for window in windows(Window(0, 0, 10, 50), 20, 0.1)]
        [0, 15, 30]
    """
    height, width = part.size
    for y in _starts(height, side, overlap):
        for x in _starts(width, side, overlap):
            top, left = part.top + y, part.left + x
            yield Window(top, left, min(top + side, part.bottom), min(left + side, part.right))


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    steps = math.ceil((length - side) / (side * (1 - overlap)))
    return [round(step * (length - side) / steps) for step in range(steps + 1)]


def cut(objects: Objects, window: Window, keep: float) -> Objects:
    """Return what a window shows of objects; of those with less than ``keep`` in it, crowds."""
    edges = edges_of(objects)
    origin = np.array([window.left, window.top] * 2)
    limit = np.array([window.size[1], window.size[0]] * 2)
    shown = np.clip(edges - origin, 0, limit)
    sides = shown[:, 2:] - shown[:, :2]
    share = sides.prod(axis=1) / objects["bbox"][:, 2:].prod(axis=1)
    parts = objects.copy()
    parts["bbox"] = np.concatenate([shown[:, :2], sides], axis=1)
    parts["area"] *= share
    # Edges are rounded in float64: a whole box must not miss keep = 1 by the last bit.
    parts["crowd"] |= share < keep - 1e-9
    seen: Objects = parts[(sides > 0).all(axis=1)]
    return seen


def _pixels(image: Tensor, window: Window) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    part = image[:, window.top : window.bottom, window.left : window.right]
    return np.ascontiguousarray(part.permute(1, 2, 0).numpy())

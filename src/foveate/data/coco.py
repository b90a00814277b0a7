"""Exact masks and boxes as COCO's JSON holds them: uncompressed run lengths, x y width height."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.core.reading import parse_json
from foveate.data.samples import Annotation

_RULE = "COCO annotations with uncompressed run lengths"


def encode_mask(mask: Tensor) -> dict[str, list[int]]:
    """Encode an (H, W) bool mask as run lengths down the columns, zeros first.

    Example:
        >>> encode_mask(torch.tensor([[False, True], [True, True]]))
        {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = mask.numpy().T.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], edges, [flat.size]))
    counts = np.diff(bounds).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {"size": [int(side) for side in mask.shape], "counts": counts}


MAX_PIXELS = 1 << 28
"""Of one mask: more than Pillow lets an image have."""


def check_sides(height: Any, width: Any) -> tuple[int, int]:
    """Return the sides of a mask, if it can be one of an image.

    Raises:
        ValueError: If they are not whole numbers of at least 0, or their product is beyond
            ``MAX_PIXELS``.
    """
    plain = all(isinstance(side, int) and not isinstance(side, bool) for side in (height, width))
    if not plain or min(height, width) < 0 or height * width > MAX_PIXELS:
        raise ValueError(f"a mask of {reprlib.repr(height)} x {reprlib.repr(width)} pixels")
    return height, width


def decode_mask(runs: dict[str, Any]) -> Tensor:
    """Return the (H, W) bool mask that ``encode_mask`` wrote.

    Raises:
        ValueError: If the runs do not fill the mask, or are compressed (a string).

    Example:
        >>> decode_mask({"size": [2, 2], "counts": [1, 3]}).tolist()
        [[False, True], [True, True]]
    """
    height, width = check_sides(*runs["size"])
    counts = runs["counts"]
    plain = isinstance(counts, list) and all(isinstance(count, int) for count in counts)
    if not plain or min(counts, default=0) < 0 or sum(counts) != height * width:
        rule = f"uncompressed run lengths that sum to {height}*{width}"
        got = reprlib.repr(sum(counts)) if plain else type(counts).__name__
        raise ValueError(expected("decode_mask", rule, Words(got)))
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return torch.from_numpy(np.ascontiguousarray(flat.reshape(width, height).T))


def mask_box(mask: Tensor) -> Tensor:
    """Return the tight half-open x1 y1 x2 y2 box, (4,) float32, of an (H, W) mask; zeros if empty.

    Example:
        >>> mask_box(torch.tensor([[False, False], [False, True]])).tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    rows = torch.nonzero(mask.any(dim=1)).flatten()
    columns = torch.nonzero(mask.any(dim=0)).flatten()
    if not len(rows):
        return torch.zeros(4)
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return torch.tensor([float(edge) for edge in box])


def to_xywh(box: Tensor) -> list[float]:
    """Return x1 y1 x2 y2 as COCO's x y width height."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return [x1, y1, x2 - x1, y2 - y1]


def _from_xywh(box: Sequence[float]) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]


def read_annotations(file: Path, classes: Sequence[str]) -> dict[str, Annotation]:
    """Read the COCO file of one split.

    Args:
        file: JSON whose segmentations are uncompressed run lengths.
        classes: Names of the labels; categories are matched by name.

    Returns:
        Annotation by the image's ``file_name``.

    Raises:
        ValueError: If the file is no such JSON.
    """
    try:
        content = parse_json(file.read_bytes(), str(file), _RULE)
        label_of = {c["id"]: classes.index(c["name"]) for c in content["categories"]}
        entries: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in content["images"]}
        for entry in content["annotations"]:
            entries[entry["image_id"]].append(entry)
        return {
            image["file_name"]: _annotation(image, entries[image["id"]], label_of)
            for image in content["images"]
        }
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        got = Words(f"{type(error).__name__}: {error}")
        raise ValueError(expected(str(file), _RULE, got)) from error


def _annotation(
    image: dict[str, Any], entries: Sequence[dict[str, Any]], label_of: dict[int, int]
) -> Annotation:
    masks = [decode_mask(entry["segmentation"]) for entry in entries]
    empty = torch.zeros(check_sides(image["height"], image["width"]), dtype=torch.bool)
    stacked = torch.stack(masks) if masks else empty[None][:0]
    cue = image.get("cue")
    mask = torch.cat([stacked, (decode_mask(cue["segmentation"]) if cue else empty)[None]]).any(0)
    boxes = torch.tensor([_from_xywh(entry["bbox"]) for entry in entries], dtype=torch.float32)
    return Annotation(
        boxes=boxes.reshape(-1, 4),
        labels=torch.tensor([label_of[e["category_id"]] for e in entries], dtype=torch.int64),
        mask=mask,
        masks=stacked,
        cue=torch.tensor(_from_xywh(cue["bbox"])) if cue else None,
        far=cue["far"] if cue else None,
    )

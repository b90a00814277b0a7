"""Detections in COCO's format of results: a list of image, class, box and score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from foveate.core import Words, expected
from foveate.core.files import write_json

Detection = dict[str, Any]


def to_detections(
    image_id: int, prediction: Mapping[str, Tensor], category_ids: Sequence[int]
) -> list[Detection]:
    """Put what a detector found in one image into COCO's format.

    Args:
        image_id: What the annotation file calls the image.
        prediction: ``boxes`` (M, 4) as x1 y1 x2 y2, ``scores`` (M,) and ``labels`` (M,).
        category_ids: What it calls the classes, by label.

    Example:
        >>> import torch
        >>> found = {"boxes": torch.tensor([[1.0, 2, 4, 6]]), "scores": torch.tensor([0.5])}
        >>> to_detections(7, {**found, "labels": torch.tensor([0])}, [3])
        [{'image_id': 7, 'category_id': 3, 'bbox': [1.0, 2.0, 3.0, 4.0], 'score': 0.5}]
    """
    boxes = prediction["boxes"].detach().double().cpu()
    sides = boxes[:, 2:] - boxes[:, :2]
    rows = zip(
        boxes[:, :2].tolist(),
        sides.tolist(),
        prediction["scores"].tolist(),
        prediction["labels"].tolist(),
        strict=True,
    )
    return [
        {
            "image_id": image_id,
            "category_id": category_ids[label],
            "bbox": [round(edge, 4) for edge in (*corner, *side)],
            "score": round(score, 8),
        }
        for corner, side, score, label in rows
    ]


def write_detections(file: str | Path, detections: Sequence[Detection]) -> Path:
    """Write detections as JSON, in one piece or not at all."""
    write_json(Path(file), list(detections))
    return Path(file)


def read_detections(file: str | Path) -> list[Detection]:
    """Read what :func:`write_detections`, or another tool of COCO, wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no list of detections.
    """
    path, rule = Path(file), "a list of detections in COCO's format of results"
    if not path.is_file():
        raise FileNotFoundError(expected("read_detections", rule, str(path)))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(expected(str(path), rule, Words(error))) from error
    keys = ("image_id", "category_id", "bbox", "score")
    sound = isinstance(content, list) and all(
        isinstance(one, dict) and all(key in one for key in keys) for one in content
    )
    if not sound:
        raise ValueError(expected(str(path), rule, Words(type(content).__name__)))
    return [dict(one) for one in content]

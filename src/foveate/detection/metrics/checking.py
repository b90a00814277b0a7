"""What average precision is computed from: checked, and in the one form its evaluator takes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

from foveate.core import Words, expected

_WHO = "score_boxes"
_KEYS = ("image_id", "category_id", "bbox", "score")


def checked_truth(truth: Mapping[str, Any]) -> dict[str, Any]:
    """Return what counts of the truth: annotations from 1 on, with an area, crowd or not.

    COCO's evaluators take an annotation of the number 0 for one that nothing matches.

    Raises:
        ValueError: If an annotation is of an image or a category that the truth has not.
    """
    known = _known(truth)
    annotations = []
    for place, one in enumerate(truth["annotations"]):
        where = f"annotation {place}"
        box = _box(one["bbox"], where)
        annotations.append(
            {
                "id": place + 1,
                **{key: _belonging(one[key], key, ids, where) for key, ids in known.items()},
                "bbox": box,
                "area": float(one.get("area", box[2] * box[3])),
                "iscrowd": int(bool(one.get("iscrowd"))),
            }
        )
    return {
        "info": {},
        "images": [dict(one) for one in truth["images"]],
        "categories": [dict(one) for one in truth["categories"]],
        "annotations": annotations,
    }


def checked_detections(
    truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return image, category, box and score of each detection.

    Raises:
        ValueError: If one lacks any of them, is of an image or a category that the truth has not,
            or has a box or a score that is not of finite numbers.
    """
    known = _known(truth)
    found = []
    for place, one in enumerate(detections):
        where = f"detection {place}"
        lacking = [key for key in _KEYS if key not in one]
        if lacking:
            got = Words(f"{where} without {', '.join(lacking)}")
            raise ValueError(expected(_WHO, "COCO's format of results", got))
        if not _finite(one["score"]):
            got = Words(f"{one['score']!r} in {where}")
            raise ValueError(expected(_WHO, "a finite score", got))
        found.append(
            {
                **{key: _belonging(one[key], key, ids, where) for key, ids in known.items()},
                "bbox": _box(one["bbox"], where),
                "score": float(one["score"]),
            }
        )
    return found


def _known(truth: Mapping[str, Any]) -> dict[str, dict[Hashable, int]]:
    return {
        "image_id": {one["id"]: one["id"] for one in truth["images"]},
        "category_id": {one["id"]: one["id"] for one in truth["categories"]},
    }


def _belonging(value: Any, key: str, known: Mapping[Hashable, int], where: str) -> int:
    if not isinstance(value, Hashable) or value not in known:
        rule = "an image_id that the truth has" if key == "image_id" else f"a known {key}"
        raise ValueError(expected(_WHO, rule, Words(f"{value!r} in {where}")))
    return known[value]


def _box(value: Any, where: str) -> list[float]:
    if isinstance(value, Sequence) and len(value) == 4 and all(map(_finite, value)):
        return [float(edge) for edge in value]
    raise ValueError(expected(_WHO, "a box of four finite numbers", Words(f"{value!r} in {where}")))


def _finite(value: Any) -> bool:
    try:
        return isinstance(value, Real) and math.isfinite(value)
    except OverflowError:  # An integer beyond all floats.
        return False

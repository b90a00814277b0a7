"""COCO's average precision and recall, over classes, by class and as curves."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from foveate.core import require
from foveate.detection.metrics.checking import checked_detections, checked_truth

RECALLS = 101
CURVES = {"0.50": 0, "0.75": 5, "0.50:0.95": None}
"""Overlap by its place among the ten of COCO; None is their mean."""


@dataclass(frozen=True)
class ClassScore:
    """How well one class is found; fractions, None where there is no object of it.

    Attributes:
        name: The class.
        ap: Average precision over overlaps of 0.50 to 0.95.
        ap50: At 0.50.
        ar100: Average recall with 100 boxes an image.
        objects: How many there are, crowds not counted.
        detections: How many boxes were offered.
        best_score: The score at which F1, at an overlap of 0.50, is best; None without any hit.
        curve: Precision at 101 recalls from 0 to 1, at an overlap of 0.50; empty without objects.
    """

    name: str
    ap: float | None
    ap50: float | None
    ar100: float | None
    objects: int
    detections: int
    best_score: float | None
    curve: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class BoxScores:
    """COCO's twelve numbers; fractions, None where there is nothing to find.

    Attributes:
        ap: Average precision: mean over classes and over overlaps (IoU) of 0.50 to 0.95.
        ap50: At an overlap of 0.50.
        ap75: At an overlap of 0.75.
        aps: Of objects below 32^2 pixels; ``apm`` up to 96^2; ``apl`` above.
        apm: See ``aps``.
        apl: See ``aps``.
        ar1: Average recall with 1 box an image; ``ar10`` with 10; ``ar100`` with 100.
        ar10: See ``ar1``.
        ar100: See ``ar1``.
        ars: Average recall by size, with 100 boxes; likewise ``arm`` and ``arl``.
        arm: See ``ars``.
        arl: See ``ars``.
        per_class: By class.
        curves: Precision at 101 recalls from 0 to 1, by overlap, mean over classes.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    aps: float | None
    apm: float | None
    apl: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ars: float | None
    arm: float | None
    arl: float | None
    per_class: tuple[ClassScore, ...] = ()
    curves: dict[str, list[float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        tree = asdict(self)
        tree["per_class"] = list(tree["per_class"])
        return tree


_NAMES = ("ap", "ap50", "ap75", "aps", "apm", "apl", "ar1", "ar10", "ar100", "ars", "arm", "arl")
_AREAS = {"s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, math.inf)}
"""Of each size; COCO counts the limits on both sides."""


def score_boxes(truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]]) -> BoxScores:
    """Compare what was found with what is there.

    Args:
        truth: COCO's format: ``images``, ``annotations`` (``bbox``, ``area``, ``iscrowd``,
            ``category_id``, ``image_id``) and ``categories``.
        detections: COCO's format of results: ``image_id``, ``category_id``, ``bbox`` and ``score``.

    Raises:
        ValueError: If a detection or an annotation is of an image or a category that the truth has
            not, or without what it must have, or not of finite numbers.
        ImportError: If faster-coco-eval is missing.

    Source: Lin et al., Microsoft COCO, arXiv:1405.0312, computed by faster-coco-eval.

    Example:
        >>> box = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10]}
        >>> truth = {
        ...     "images": [{"id": 1, "height": 50, "width": 50}],
        ...     "categories": [{"id": 1, "name": "cat"}],
        ...     "annotations": [{**box, "id": 1, "area": 100, "iscrowd": 0}],
        ... }
        >>> score_boxes(truth, [{**box, "score": 0.9}]).ap
        1.0
    """
    coco: Any = require("faster_coco_eval", "detect", "score_boxes")
    gold, found = checked_truth(truth), checked_detections(truth, detections)
    names = {one["id"]: str(one["name"]) for one in truth["categories"]}
    objects = dict.fromkeys(names, 0)
    for one in gold["annotations"]:
        objects[one["category_id"]] += not one["iscrowd"]
    offered = dict.fromkeys(names, 0)
    for one in found:
        offered[one["category_id"]] += 1
    if not sum(objects.values()) or not found:
        # The evaluator refuses empty lists; what it would say is known.
        areas = [one["area"] for one in gold["annotations"] if not one["iscrowd"]]
        return _without(names, objects, offered, areas)
    with contextlib.redirect_stdout(io.StringIO()):
        index = coco.COCO(gold)
        judge = coco.COCOeval_faster(index, index.loadRes(found), iouType="bbox")
        judge.params.maxDets = [1, 10, 100]
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    numbers = {name: _plain(value) for name, value in zip(_NAMES, judge.stats[:12], strict=True)}
    # Overlaps, recalls, classes, sizes, boxes an image; classes stand in the order of their ids.
    precision, recall = (np.asarray(judge.eval[name]) for name in ("precision", "recall"))
    scores = np.asarray(judge.eval["scores"])
    order = {number: place for place, number in enumerate(judge.params.catIds)}
    per_class = []
    for number, name in names.items():
        place = order[number]
        line = precision[0, :, place, 0, -1]
        per_class.append(
            ClassScore(
                name=name,
                ap=_mean(precision[:, :, place, 0, -1]),
                ap50=_mean(line),
                ar100=_mean(recall[:, place, 0, -1]),
                objects=objects[number],
                detections=offered[number],
                best_score=_best_score(line, scores[0, :, place, 0, -1]),
                curve=_rounded(line) if objects[number] else [],
            )
        )
    curves = {title: _curve(precision, place) for title, place in CURVES.items()}
    return BoxScores(**numbers, per_class=tuple(per_class), curves=curves)


def _without(
    names: Mapping[int, str],
    objects: Mapping[int, int],
    offered: Mapping[int, int],
    areas: Sequence[float],
) -> BoxScores:
    """The scores where nothing was found, or nothing is there."""
    per_class = []
    for number, name in names.items():
        score, curve = (0.0, [0.0] * RECALLS) if objects[number] else (None, [])
        counts = objects[number], offered[number]
        per_class.append(ClassScore(name, score, score, score, *counts, None, curve))
    numbers: dict[str, float | None] = {}
    for name in _NAMES:
        least, most = _AREAS.get(name[2:], (0, math.inf))
        numbers[name] = 0.0 if any(least <= area <= most for area in areas) else None
    return BoxScores(
        **numbers,
        per_class=tuple(per_class),
        curves={title: [0.0] * RECALLS for title in CURVES} if areas else {},
    )


def _plain(value: float) -> float | None:
    """COCO says -1 where there is no object."""
    return None if value < 0 else float(value)


def _mean(values: np.ndarray[Any, Any]) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _curve(precision: np.ndarray[Any, Any], place: int | None) -> list[float]:
    """Mean over the classes that have objects."""
    lines = precision[:, :, :, 0, -1]
    lines = lines.mean(0) if place is None else lines[place]
    known = lines[:, (lines > -1).all(0)]
    return _rounded(known.mean(1)) if known.size else []


def _rounded(line: np.ndarray[Any, Any]) -> list[float]:
    return [round(float(one), 6) for one in line]


def _best_score(precision: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> float | None:
    """The score at the recall where F1 is best."""
    recall = np.linspace(0, 1, RECALLS)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1.argmax())
    return float(scores[best]) if f1[best] > 0 else None

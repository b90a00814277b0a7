"""Evaluate a trained detector: every image once, and what could not be read by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected
from foveate.detection.batches import as_batch
from foveate.detection.data import DetectionDataset, open_detection
from foveate.detection.metrics import BoxScores, to_detections
from foveate.detection.module import as_input
from foveate.detection.run import DetectionRun
from foveate.detection.tallies import scores_of
from foveate.training.shown import look_through


@dataclass(frozen=True)
class Found:
    """What a detector found in the images of a data set.

    Attributes:
        detections: In COCO's format of results.
        scores: Their average precisions; unreadable images do not count.
        images: How many images were read.
        unreadable: Reason by name of the others.
    """

    detections: list[dict[str, Any]]
    scores: BoxScores
    images: int
    unreadable: dict[str, str]


def evaluate_detector(
    target: str | Path | DetectionRun,
    source: str | None = None,
    *,
    limit: int | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Measure a finished run on its validation images, or on others with the same classes.

    Args:
        target: The run.
        source: Where other images come from, see ``open_detection``.
        limit: At most so many images of another source.
        batch_size: Images at a time; by default as in the run.
        device: Where to compute; by default on the CPU.
        tell: Told how many images are done, of how many.

    Returns:
        The numbers (as ``result.json`` of a run has them, with ``source``), and the detections in
        COCO's format of results.

    Raises:
        ValueError: If the classes differ from those of the run, or no image can be read.
        FileNotFoundError: If the run is not finished.
    """
    run = target if isinstance(target, DetectionRun) else DetectionRun(target)
    detector, data = run.load_model(), run.recipe.data
    options, most = dict(data.options), data.limit_val
    if source is not None and source != data.source:
        # The limit and the options belong to the run's own source.
        options, most = {}, limit
    dataset = open_detection(
        source or data.source, "val", size=data.size, seed=data.seed, limit=most, **options
    )
    known = (run.result or {})["classes"]
    if list(dataset.classes) != known:
        raise ValueError(
            expected(f"evaluating {run}", f"the classes {known}", list(dataset.classes))
        )
    found = find_boxes(
        detector, dataset, batch_size or run.recipe.train.batch_size, device=device, tell=tell
    )
    if not found.images:
        got = Words(f"none of {len(dataset)}")
        raise ValueError(expected("evaluate", "readable images", got))
    result = {
        "source": source or data.source,
        **as_result(found, dataset),
        "images": found.images,
        "unreadable": [{"name": n, "reason": why} for n, why in found.unreadable.items()],
        "problems": {"val": dataset.problems.as_dict()},
    }
    return result, found.detections


def find_boxes(
    detector: nn.Module,
    dataset: DetectionDataset,
    batch_size: int = 2,
    *,
    device: str | torch.device | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Run a detector over a data set; it is left as it was."""
    found: dict[int, list[dict[str, Any]]] = {}

    def see(batch: dict[str, Any], place: torch.device) -> None:
        predictions = detector(as_input([image.to(place) for image in batch["images"]]))
        for index, prediction in zip(batch["indices"], predictions, strict=True):
            image = dataset.image_id_of(index)
            found[index] = to_detections(image, prediction, dataset.category_ids)

    unreadable = look_through(
        detector,
        dataset,
        as_batch,
        see,
        batch_size=batch_size,
        device=device,
        tell=tell,
    )
    detections = [one for place in sorted(found) for one in found[place]]
    return Found(detections, scores_of(dataset, found), len(found), unreadable)


def as_result(found: Found, dataset: DetectionDataset) -> dict[str, Any]:
    """Return what a result says of what was found."""
    objects = sum(not one["iscrowd"] for one in dataset.truth()["annotations"])
    return {**found.scores.as_dict(), "objects": objects, "detections": len(found.detections)}

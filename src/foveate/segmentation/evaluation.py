"""Evaluate a trained segmenter: every image once, and what could not be read by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected
from foveate.segmentation.batches import as_batch
from foveate.segmentation.data import MapDataset, open_segmentation
from foveate.segmentation.module import scored
from foveate.segmentation.run import SegmentationRun
from foveate.segmentation.scores import ClassScores, confusion
from foveate.training.shown import Tell, look_through


@dataclass(frozen=True)
class Judged:
    """What a segmenter came to on a data set.

    Attributes:
        scores: Of all judged pixels.
        images: How many images were read.
        unreadable: Reason by name of the others.
    """

    scores: ClassScores
    images: int
    unreadable: dict[str, str]


def evaluate_segmenter(
    target: str | Path | SegmentationRun,
    source: str | None = None,
    *,
    limit: int | None = None,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    tell: Tell = lambda done, total: None,
) -> dict[str, Any]:
    """Measure a finished run on its validation images, or on others with the same classes.

    Args:
        target: The run.
        source: Where other images come from, see ``open_segmentation``.
        limit: At most so many images of another source.
        batch_size: Images at a time; by default as in the run.
        device: Where to compute; by default on the CPU.
        tell: Told how many images are done, of how many.

    Returns:
        The numbers, as ``result.json`` of a run has them, with ``source``.

    Raises:
        ValueError: If the classes differ from those of the run, or no image can be read.
        FileNotFoundError: If the run is not finished.
    """
    run = target if isinstance(target, SegmentationRun) else SegmentationRun(target)
    segmenter, data = run.load_model(), run.recipe.data
    options, most = dict(data.options), data.limit_val
    if source is not None and source != data.source:
        # The limit and the options belong to the run's own source.
        options, most = {}, limit
    dataset = open_segmentation(
        source or data.source, "val", size=data.size, seed=data.seed, limit=most, **options
    )
    known = (run.result or {})["classes"]
    if list(dataset.classes) != known:
        rule = f"the classes {known}"
        raise ValueError(expected(f"evaluating {run}", rule, list(dataset.classes)))
    size = batch_size or run.recipe.train.batch_size
    found = judge(segmenter, dataset, data.max_size, size, device=device, tell=tell)
    if not found.images:
        raise ValueError(expected("evaluate", "readable images", Words(f"none of {len(dataset)}")))
    return {
        "source": source or data.source,
        **found.scores.as_dict(),
        "images": found.images,
        "unreadable": [{"name": n, "reason": why} for n, why in found.unreadable.items()],
    }


def judge(
    segmenter: nn.Module,
    dataset: MapDataset,
    longest: int,
    batch_size: int = 1,
    *,
    device: str | torch.device | None = None,
    tell: Tell = lambda done, total: None,
) -> Judged:
    """Run a segmenter over a data set; it is left as it was."""
    count = len(dataset.classes)
    matrix, images = torch.zeros(count, count, dtype=torch.int64), 0

    def see(batch: dict[str, Any], place: torch.device) -> None:
        nonlocal matrix, images
        images += len(batch["images"])
        shown = [image.to(place) for image in batch["images"]]
        for places, logits in scored(segmenter, shown, longest):
            truth = torch.stack([batch["maps"][one] for one in places])
            matrix = matrix + confusion(logits.argmax(dim=1).cpu(), truth, count)

    lost = look_through(
        segmenter, dataset, as_batch, see, batch_size=batch_size, device=device, tell=tell
    )
    return Judged(ClassScores(matrix, dataset.classes), images, lost)

"""From a data set of boxes to batches: images of their own sizes, with what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.data import Unreadable
from foveate.detection.data import DetectionDataset, DetectionSample, open_detection
from foveate.detection.recipe import DetectionDataSection, DetectionRecipe
from foveate.training.data_module import KeyedData
from foveate.training.shown import Shown, parted

Batch = dict[str, Any]


def open_boxes(data: DetectionDataSection) -> tuple[DetectionDataset, DetectionDataset]:
    """Open the training and the validation images of a recipe.

    Raises:
        ValueError: If the two do not have the same classes; with ``strict``, if anything in the
            annotations is wrong.
    """
    train, val = (
        open_detection(
            data.source, split, size=data.size, seed=data.seed, limit=limit, **data.options
        )
        for split, limit in (("train", data.limit_train), ("val", data.limit_val))
    )
    problems = {"train": train.problems, "val": val.problems}
    if data.strict:
        for split, found in problems.items():
            if found:
                raise ValueError(
                    expected(f"{data.source} ({split})", "sound annotations", Words(found))
                )
    if train.classes != val.classes or not train.classes:
        raise ValueError(
            expected(
                f"data source {data.source!r}",
                "the same classes in train and val, one or more",
                Words(f"{list(train.classes)} and {list(val.classes)}"),
            )
        )
    return train, val


def by_coin(sample: DetectionSample) -> DetectionSample:
    """Mirror every other image."""
    return mirrored(sample) if torch.rand(()) < 0.5 else sample


def mirrored(sample: DetectionSample) -> DetectionSample:
    """Mirror an image and its boxes from left to right."""
    width = sample.image.shape[2]
    boxes = sample.boxes.clone()
    boxes[:, [0, 2]] = width - sample.boxes[:, [2, 0]]
    return replace(sample, image=sample.image.flip(2), boxes=boxes)


def as_batch(items: Sequence[tuple[DetectionSample | Unreadable, bool]]) -> Batch:
    """Put items into the plain types that every accelerator and worker process can move.

    Returns:
        ``images`` (a list of (3, H, W) uint8), ``targets`` (a list of ``boxes`` and ``labels``,
        crowds left out), ``indices``, ``counted`` (whether an image is no filling of the last
        share) and ``unreadable``.
    """
    samples, said = parted(items)
    return {
        "images": [sample.image for sample in samples],
        "targets": [_target(sample) for sample in samples],
        "indices": [sample.index for sample in samples],
        **said,
    }


def _target(sample: DetectionSample) -> dict[str, Tensor]:
    single = ~sample.crowd
    return {"boxes": sample.boxes[single], "labels": sample.labels[single]}


class BoxData(KeyedData):
    """The images of a detector's recipe for Lightning.

    Args:
        recipe: Its ``data`` section, ``seed`` and batch size count.
        data: Data sets (train, val) that are open already; otherwise they are opened here.
    """

    train_set: DetectionDataset
    val_set: DetectionDataset

    def __init__(
        self,
        recipe: DetectionRecipe,
        data: tuple[DetectionDataset, DetectionDataset] | None = None,
    ) -> None:
        super().__init__(recipe, *(data or open_boxes(recipe.data)), collate=as_batch)

    def learnt(self) -> Shown:
        """Return the images of training, augmented."""
        change = by_coin if self.recipe.data.augment == "flip" else None
        return Shown(self.train_set, change, self.recipe.seed, self.desks)

    def judged(self) -> Shown:
        """Return the images of evaluation as they are."""
        return Shown(self.val_set, desks=self.val_desks)

"""Generated scenes as images with boxes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from foveate.data import Sample, Unreadable, open_dataset
from foveate.data.coco import to_xywh
from foveate.detection.data.problems import Problems
from foveate.detection.data.samples import DetectionDataset
from foveate.detection.data.table import Objects, Shown, as_objects


class SceneBoxes(DetectionDataset):
    """Scenes with the exact box of their object; its class may hang on a far marker.

    Boxes and areas are those that ``foveate scenes`` writes. Each image is drawn once and kept.

    Args:
        split: ``"train"`` or ``"val"``.
        size: Side in pixels.
        seed: Another seed gives other images.
        limit: How many images.
        **options: ``count`` and the fields of ``SceneOptions``.
    """

    def __init__(
        self, split: str, *, size: int, seed: int, limit: int | None, **options: Any
    ) -> None:
        self.source = open_dataset("scenes", split, size=size, seed=seed, limit=limit, **options)
        self.size = size
        self.classes = tuple(self.source.classes)
        self.category_ids = tuple(range(1, len(self.classes) + 1))
        self.problems = Problems()
        self._drawn: dict[int, Sample | Unreadable] = {}
        self._objects: dict[int, Objects] = {}

    def __len__(self) -> int:
        return len(self.source)

    def shown(self, index: int) -> Shown:
        """Return the place of an image from 1 on, its name and its sides."""
        return Shown(index + 1, self.source.name_of(index), (self.size, self.size))

    def read(self, index: int) -> Tensor | Unreadable:
        """Return an image, or why a cut-out or a background of it cannot be read."""
        if index not in self._drawn:
            self._drawn[index] = self.source[index]
        item = self._drawn[index]
        return item if isinstance(item, Unreadable) else item.image

    def objects_of(self, index: int) -> Objects:
        """Return the object, with the area of what is seen of it; none if nothing is seen."""
        if index not in self._objects:
            self._objects[index] = self._look(index)
        return self._objects[index]

    def _look(self, index: int) -> Objects:
        note = self.source.annotation(index)
        if note is None:
            return as_objects([])
        return as_objects(
            (to_xywh(box), float(mask.sum()), int(label), False)
            for box, mask, label in zip(note.boxes, note.masks, note.labels, strict=True)
            if bool(mask.any())
        )

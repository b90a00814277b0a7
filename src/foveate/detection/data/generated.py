"""Generated scenes as images with boxes."""

from __future__ import annotations

from typing import Any

from foveate.data import Sample, Unreadable, open_dataset
from foveate.data.coco import to_xywh
from foveate.data.samples import check_index
from foveate.detection.data.boxes import sample_of
from foveate.detection.data.problems import Problems
from foveate.detection.data.samples import DetectionDataset, DetectionSample


class SceneBoxes(DetectionDataset):
    """Scenes with the exact box of their object; its class may hang on a far marker.

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
        self._kept: dict[int, Sample | Unreadable] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> DetectionSample | Unreadable:
        index = check_index(index, len(self))
        if index not in self._kept:
            self._kept[index] = self.source[index]
        item = self._kept[index]
        return item if isinstance(item, Unreadable) else sample_of(self, index, item.image)

    def image_id_of(self, index: int) -> int:
        """Return the place of an image, from 1 on."""
        return index + 1

    def name_of(self, index: int) -> str:
        """Return the name of an image."""
        return self.source.name_of(index)

    def size_of(self, index: int) -> tuple[int, int] | None:
        """Return the sides."""
        return self.size, self.size

    def objects_of(self, index: int) -> list[dict[str, Any]]:
        """Return the object, with the area of its mask."""
        shown = self.source.annotation(index)
        if shown is None:
            return []
        return [
            {
                "bbox": to_xywh(box),
                "area": float(mask.sum()),
                "category_id": int(label) + 1,
                "iscrowd": 0,
            }
            for box, label, mask in zip(shown.boxes, shown.labels, shown.masks, strict=True)
            if bool(mask.any())
        ]

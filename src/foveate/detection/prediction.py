"""Find objects in images and folders of images: a JSON file, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.core import expected
from foveate.core.files import write_bytes, write_json
from foveate.detection.drawing import draw_boxes
from foveate.detection.metrics import to_detections
from foveate.detection.model import Detector
from foveate.detection.module import as_input
from foveate.detection.run import DetectionRun
from foveate.training.predicting import file_of, look_at


@dataclass(frozen=True)
class Predicted:
    """What was found.

    Attributes:
        file: The JSON file.
        images: How many images were looked at.
        objects: How many objects were found in them.
        pictures: The pictures that were drawn.
        unreadable: Reason by name of the images that could not be read.
    """

    file: Path
    images: int
    objects: int
    pictures: list[Path] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def predict(
    run: str | Path | DetectionRun,
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    threshold: float = 0.5,
    draw: bool = True,
    limit: int | None = None,
    batch_size: int = 1,
    device: str | torch.device | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Predicted:
    """Look for objects in images.

    ``predictions.json`` in ``out`` is in COCO's format: ``images``, ``categories`` and
    ``annotations``, which have a ``score``; ``unreadable`` lists what could not be read. Boxes are
    in pixels of the image as it is shown upright.

    Args:
        run: A finished run of a detector.
        sources: Image files, folders of images (subfolders too), or what
            ``foveate.data.open_images`` takes.
        out: The folder to write to; files of the same names are replaced.
        threshold: The least score of an object, in [0, 1].
        draw: Whether to draw a picture of each image, in ``out/pictures``.
        limit: At most so many images of each source.
        batch_size: Images at a time.
        device: Where to compute; by default on the CPU.
        tell: Told how many images are done, of how many.

    Raises:
        ValueError: If there is no image, or the threshold is none.
        FileNotFoundError: If the run is not finished.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(expected("predict", "a threshold in [0, 1]", threshold))
    found = run if isinstance(run, DetectionRun) else DetectionRun(run)
    detector = found.load_model().to(device or "cpu")
    classes = tuple((found.result or {})["classes"])
    writer = _Writer(Path(out), classes, threshold, draw)
    try:
        writer.unreadable = look_at(
            detector,
            sources,
            lambda images: _kept(detector, as_input(images), threshold),
            writer.add,
            limit=limit,
            batch_size=batch_size,
            tell=tell,
        )
    except KeyboardInterrupt:
        writer.close()  # What was found so far.
        raise
    return writer.close()


def _kept(detector: Detector, images: list[Tensor], threshold: float) -> list[dict[str, Tensor]]:
    kept = []
    for found in detector(images):
        above = found["scores"] >= threshold
        kept.append({name: value[above].cpu() for name, value in found.items()})
    return kept


class _Writer:
    """Collects what was found; pictures are written as they come."""

    def __init__(self, out: Path, classes: tuple[str, ...], threshold: float, draw: bool) -> None:
        self.out, self.classes, self.threshold, self.draw = out, classes, threshold, draw
        self.ids = tuple(range(1, len(classes) + 1))
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.pictures: list[Path] = []
        self.unreadable: dict[str, str] = {}
        out.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, image: Tensor, found: dict[str, Tensor]) -> None:
        """Take up what was found in an image (3, H, W) uint8."""
        number = len(self.images) + 1
        height, width = image.shape[1:]
        entry = {"id": number, "file_name": name, "height": height, "width": width}
        for one in to_detections(number, found, self.ids):
            area = one["bbox"][2] * one["bbox"][3]
            extra = {"id": len(self.annotations) + 1, "area": area, "iscrowd": 0}
            self.annotations.append({**one, **extra})
        if self.draw:
            path = self.out / "pictures" / file_of(number, name)
            picture = draw_boxes(
                image, found["boxes"], found["labels"], found["scores"], classes=self.classes
            )
            write_bytes(path, picture)
            entry["picture"] = str(path.relative_to(self.out))
            self.pictures.append(path)
        self.images.append(entry)

    def close(self) -> Predicted:
        """Write the JSON file."""
        categories = [
            {"id": number, "name": name}
            for number, name in zip(self.ids, self.classes, strict=True)
        ]
        content = {
            "info": {"description": f"objects of score {self.threshold:g} and more"},
            "images": self.images,
            "categories": categories,
            "annotations": self.annotations,
            "unreadable": [{"name": name, "reason": why} for name, why in self.unreadable.items()],
        }
        file = self.out / "predictions.json"
        write_json(file, content)
        return Predicted(
            file, len(self.images), len(self.annotations), self.pictures, self.unreadable
        )

"""Draw what the detectors of a study find, side by side."""

from __future__ import annotations

from pathlib import Path

import torch

from foveate.core.files import write_bytes, write_json
from foveate.core.modes import evaluation
from foveate.data import Unreadable
from foveate.detection.batches import open_boxes
from foveate.detection.drawing import draw_sheet
from foveate.detection.module import as_input
from foveate.detection.run import DetectionRun
from foveate.detection.study import DetectionStudyFolder

SHOWN = 0.3
"""The least score of a box that is drawn."""


def draw_predictions(folder: DetectionStudyFolder, count: int = 6) -> list[Path]:
    """Draw the first validation images with what each network of the first seed finds.

    Writes ``pictures/*.png`` and ``pictures.json`` (a list of ``file`` and ``alt``) into the study
    folder, which its report shows.

    Args:
        folder: A finished study.
        count: How many images.
    """
    study = folder.study
    runs = {label: DetectionRun(folder.run(label, study.seeds[0]).path) for label in folder.labels}
    _, dataset = open_boxes(next(iter(runs.values())).recipe.data)
    detectors = {label: run.load_model() for label, run in runs.items()}
    shown: list[Path] = []
    told: list[dict[str, str]] = []
    for index in range(len(dataset)):
        if len(shown) == count:
            break
        item = dataset[index]
        if isinstance(item, Unreadable):
            continue
        panels = [("annotated", item.boxes, item.labels, None)]
        for label, detector in detectors.items():
            with evaluation(detector), torch.inference_mode():
                found = detector(as_input([item.image]))[0]
            above = found["scores"] >= SHOWN
            boxes, labels, scores = (found[n][above] for n in ("boxes", "labels", "scores"))
            panels.append((label, boxes, labels, scores))
        path = folder.path / "pictures" / f"{len(shown):02d}.png"
        write_bytes(path, draw_sheet(item.image, panels, classes=dataset.classes))
        shown.append(path)
        counts = ", ".join(f"{label} {len(boxes)}" for label, boxes, _, _ in panels[1:])
        alt = f"{item.name}: {len(item.boxes)} objects annotated; boxes found by {counts}"
        told.append({"file": f"pictures/{path.name}", "alt": alt})
    write_json(folder.path / "pictures.json", told)
    return shown

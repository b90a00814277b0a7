"""Draw what the segmenters of a study find, side by side."""

from __future__ import annotations

from pathlib import Path

import torch

from foveate.core.files import write_bytes, write_json
from foveate.core.modes import evaluation
from foveate.data import Unreadable
from foveate.segmentation.batches import open_maps
from foveate.segmentation.drawing import draw_maps_sheet
from foveate.segmentation.module import scored
from foveate.segmentation.run import SegmentationRun
from foveate.segmentation.scores import ClassScores, confusion
from foveate.segmentation.study import SegmentationStudyFolder


def draw_maps(folder: SegmentationStudyFolder, count: int = 6) -> list[Path]:
    """Draw the first validation images with what each network of the first seed finds.

    Writes ``pictures/*.png`` and ``pictures.json`` (a list of ``file`` and ``alt``) into the study
    folder, which its report shows.

    Args:
        folder: A finished study.
        count: How many images.
    """
    seed = folder.study.seeds[0]
    runs = {label: SegmentationRun(folder.run(label, seed).path) for label in folder.labels}
    data = next(iter(runs.values())).recipe.data
    _, dataset = open_maps(data)
    networks = {label: run.load_model() for label, run in runs.items()}
    shown: list[Path] = []
    told: list[dict[str, str]] = []
    for index in range(len(dataset)):
        if len(shown) == count:
            break
        item = dataset[index]
        if isinstance(item, Unreadable):
            continue
        panels, said = [("annotated", item.classes)], []
        for label, network in networks.items():
            with evaluation(network), torch.inference_mode():
                _, logits = next(scored(network, [item.image], data.max_size))
            found = logits[0].argmax(dim=0).to(torch.uint8)
            matrix = confusion(found, item.classes, len(dataset.classes))
            right = ClassScores(matrix, dataset.classes).pixel_accuracy or 0.0
            panels.append((label, found))
            said.append(f"{label} {100 * right:.1f} %")
        path = folder.path / "pictures" / f"{len(shown):02d}.png"
        write_bytes(path, draw_maps_sheet(item.image, panels, dataset.classes))
        shown.append(path)
        alt = f"{item.name}: the annotated classes, and those that each network gives to its pixels"
        told.append({"file": f"pictures/{path.name}", "alt": f"{alt}; right: {', '.join(said)}"})
    write_json(folder.path / "pictures.json", told)
    return shown

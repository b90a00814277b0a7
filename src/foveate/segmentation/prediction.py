"""Give every pixel of images and folders of images a class: masks, and pictures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.core.files import write_bytes, write_json
from foveate.segmentation.drawing import draw_maps_sheet, mask_png
from foveate.segmentation.module import scored
from foveate.segmentation.run import SegmentationRun
from foveate.training.predicting import file_of, look_at
from foveate.training.shown import Tell


@dataclass(frozen=True)
class PredictedMaps:
    """What was found.

    Attributes:
        file: The JSON file.
        images: What it says of each image.
        unreadable: Reason by name of the images that could not be read.
    """

    file: Path
    images: list[dict[str, Any]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def predict_maps(
    run: str | Path | SegmentationRun,
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    draw: bool = True,
    limit: int | None = None,
    batch_size: int = 1,
    device: str | torch.device | None = None,
    tell: Tell = lambda done, total: None,
) -> PredictedMaps:
    """Give every pixel of images a class.

    Writes into ``out`` for each image ``masks/*.png``, whose pixels are class numbers (with a
    palette, so that a viewer shows colors), ``pictures/*.png`` with the colors over the image, and
    ``predictions.json``: ``classes``, ``images`` (``name``, ``mask``, ``picture``, and ``shares``,
    the share of the pixels by class) and ``unreadable``. Masks are of the sizes of their images
    as they are shown upright.

    Args:
        run: A finished run of a segmenter.
        sources: Image files, folders of images (subfolders too), or what
            ``foveate.data.open_images`` takes.
        out: The folder to write to; files of the same names are replaced.
        draw: Whether to draw the pictures.
        limit: At most so many images of each source.
        batch_size: Images at a time.
        device: Where to compute; by default on the CPU.
        tell: Told how many images are done, of how many.

    Raises:
        ValueError: If there is no image.
        FileNotFoundError: If the run is not finished.
    """
    found = run if isinstance(run, SegmentationRun) else SegmentationRun(run)
    segmenter, longest = found.load_model().to(device or "cpu"), found.recipe.data.max_size
    classes = list((found.result or {})["classes"])
    folder, images = Path(out), list[dict[str, Any]]()

    def find(shown: list[Tensor]) -> list[Tensor]:
        maps: dict[int, Tensor] = {}
        for places, logits in scored(segmenter, shown, longest):
            maps.update(zip(places, logits.argmax(dim=1).to(torch.uint8).cpu(), strict=True))
        return [maps[place] for place in range(len(shown))]

    def take(name: str, image: Tensor, one: Tensor) -> None:
        file = file_of(len(images) + 1, name)
        counts = torch.bincount(one.flatten().long(), minlength=len(classes))
        shares = (counts / one.numel()).tolist()
        entry: dict[str, Any] = {
            "name": name,
            "mask": f"masks/{file}",
            "shares": {word: share for word, share in zip(classes, shares, strict=True) if share},
        }
        write_bytes(folder / "masks" / file, mask_png(one, classes))
        if draw:
            entry["picture"] = f"pictures/{file}"
            picture = draw_maps_sheet(image, [("found", one)], classes)
            write_bytes(folder / "pictures" / file, picture)
        images.append(entry)

    path = folder / "predictions.json"

    def close(lost: Mapping[str, str]) -> None:
        told = [{"name": name, "reason": why} for name, why in lost.items()]
        write_json(path, {"classes": classes, "images": images, "unreadable": told})

    try:
        lost = look_at(
            segmenter, sources, find, take, limit=limit, batch_size=batch_size, tell=tell
        )
    except KeyboardInterrupt:
        close({})  # What was found so far.
        raise
    close(lost)
    return PredictedMaps(path, images, lost)

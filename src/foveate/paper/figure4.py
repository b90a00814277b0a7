"""Figure 4: Grad-CAM of networks without and with gates, at the last two blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from foveate.core import Words, expected
from foveate.core.files import write_bytes
from foveate.data import ImageDataset, Sample
from foveate.explain import Subject, cam_targets, grad_cam
from foveate.explain.figures import draw_heat, draw_image, new_figure, png_bytes
from foveate.explain.regions import RegionSource
from foveate.explain.scores import ScoreSettings, sfd
from foveate.explain.subjects import object_name
from foveate.paper.counting import Tell, quietly

BLOCKS = 2
"""The paper shows blocks 3 and 4 of four."""

_SIDE = 1.7
_OBJECT = "#56B4E9"


def figure4(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    out: Path,
    *,
    count: int = 4,
    tell: Tell = quietly,
) -> Path:
    """Draw images as networks see them: Grad-CAM at their last two stages, gates included.

    Under each map stands its sfd with what a flat map would get; both are left out where the
    object is not known. The figure of the paper shows ResNet-50 without and with DAS.

    Args:
        subjects: Networks, in the order to show them.
        dataset: Images.
        regions: Where their objects lie; drawn as outlines.
        out: The folder that gets ``figure4.png``.
        count: How many images, spread over the data set; unreadable ones are passed over.
        tell: Told which image is being drawn, and the share that is done.

    Returns:
        The picture.

    Raises:
        ValueError: If no image can be read, or a network has fewer stages than are shown.
    """
    layers = {one.name: _last_stages(one) for one in subjects}
    rows = _readable(dataset, count)
    if not rows:
        raise ValueError(expected("paper figure4", "readable images", Words("none")))
    width = 1 + BLOCKS * len(subjects)
    figure = new_figure(_SIDE * width, (_SIDE + 0.3) * len(rows) + 0.25, dpi=130)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(rows), width, squeeze=False)
    for turn, (place, item) in enumerate(rows):
        tell(f"drawing {item.name}", turn / len(rows))
        _draw_row(axes[turn], subjects, layers, dataset, regions, place, item)
    for column, title in enumerate(_titles(subjects, layers)):
        axes[0][column].set_title(title, fontsize=8)
    path = out / "figure4.png"
    write_bytes(path, png_bytes(figure, colors=256))
    return path


def _draw_row(
    axes: Any,
    subjects: Sequence[Subject],
    layers: dict[str, list[str]],
    dataset: ImageDataset,
    regions: RegionSource,
    place: int,
    item: Sample,
) -> None:
    truth = dataset.classes[item.label] if 0 <= item.label < len(dataset.classes) else ""
    draw_image(axes[0], subjects[0].shown(item.image))
    column = 1
    for number, one in enumerate(subjects):
        shown = one.shown(item.image)
        ready = one.ready(shown[None])
        with torch.no_grad():
            guess = int(one.model(ready).argmax())
        said = one.class_name(guess)
        name = object_name(one, dataset, item.label, guess)
        region = regions.region(dataset, place, item.image, name)
        mask = None if region.mask is None else one.fit_mask(region.mask)
        if number == 0:
            axes[0].set_xlabel(truth or said, fontsize=7)
            _outline(axes[0], mask)
        for layer in layers[one.name]:
            cam = grad_cam(one.model, ready, layer)
            draw_heat(axes[column], shown, cam.maps[0].cpu())
            _outline(axes[column], mask)
            axes[column].set_xlabel(_told(said, cam.maps.cpu(), cam.constant, mask), fontsize=7)
            column += 1


def _told(said: str, maps: torch.Tensor, constant: torch.Tensor, mask: Any) -> str:
    if bool(constant[0]):
        return f"{said}\nconstant map"
    if mask is None or not bool(mask.any()):
        return f"{said}\nno region"
    asked = ScoreSettings()
    found = sfd(maps, mask[None], base=asked.base, shift=asked.shift, threshold=asked.threshold)
    return f"{said}\nsfd {float(found.score):.2f}, chance {float(found.chance):.2f}"


def _outline(ax: Any, mask: Any) -> None:
    if mask is not None and bool(mask.any()) and not bool(mask.all()):
        for color, width in (("black", 2.2), (_OBJECT, 1.1)):
            ax.contour(mask.float().numpy(), levels=[0.5], colors=color, linewidths=width)


def _last_stages(one: Subject) -> list[str]:
    known = cam_targets(one.model, one.blank())
    stages = [name for name in known if name.startswith("stage") and ":" not in name]
    if len(stages) < BLOCKS:
        rule = f"networks of at least {BLOCKS} stages"
        raise ValueError(expected("paper figure4", rule, Words(f"{one.name}: {len(stages)}")))
    return stages[-BLOCKS:]


def _titles(subjects: Sequence[Subject], layers: dict[str, list[str]]) -> list[str]:
    maps = [
        f"{one.name}\n{layer.replace('stage', 'block ')}"
        for one in subjects
        for layer in layers[one.name]
    ]
    return ["image\nand object", *maps]


def _readable(dataset: ImageDataset, count: int) -> list[tuple[int, Sample]]:
    """Images spread over the data set; in place of one that cannot be read comes the next."""
    found: dict[int, Sample] = {}
    for turn in range(count):
        for place in range(turn * len(dataset) // count, len(dataset)):
            item = dataset[place]
            if place not in found and isinstance(item, Sample):
                found[place] = item
                break
    return sorted(found.items())

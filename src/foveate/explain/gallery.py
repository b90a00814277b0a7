"""A folder of pictures that shows, image by image, what several networks look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import MissingExtraError, check_positive_int, expected
from foveate.core.files import write_bytes
from foveate.explain import figures
from foveate.explain.grad_cam import GradCam, grad_cam
from foveate.explain.sampling import SiteGate, SitePoints, gate_maps, sampling_points, strongest

Prepare = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class _Example:
    name: str
    label: int
    shown: Tensor
    ready: Tensor
    boxes: Tensor | None


@dataclass(frozen=True)
class _Looked:
    """What one network was seen to do with all examples."""

    predicted: list[int]
    cam: GradCam | None
    gates: list[SiteGate]
    sites: list[SitePoints]


def write_gallery(
    models: Mapping[str, nn.Module],
    dataset: Any,
    folder: str | Path,
    prepare: Prepare,
    *,
    count: int = 6,
    seed: int | None = None,
) -> Path:
    """Draw ``count`` images of ``dataset`` as each network sees them.

    Per image: the image with the box of the deciding object; per network Grad-CAM for the true
    class; for gates with a map their mean; for deformable gates the sampling points for the center
    of the object (without an annotation: for the strongest point of Grad-CAM, without that of the
    gate).
    Without captum, Grad-CAM is left out and the index says so.

    Args:
        models: Networks by label, in the order to show them.
        dataset: Of ``foveate.data``; classes are taken in turn, unreadable images never.
        folder: Where pictures and ``index.json`` go; made if missing.
        prepare: Makes of an image (3, H, W) uint8 the one to show (uint8, resized) and the one
            to feed (float, normalized), both of the same size.
        count: How many images.
        seed: The seed of the networks' runs, for the caption.

    Returns:
        The path of ``index.json``, written last.

    Raises:
        ValueError: If ``count`` < 1 or no image can be read.
    """
    check_positive_int("write_gallery", "count", count)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    examples = list(_choose(dataset, prepare, count))
    if not examples:
        raise ValueError(expected("write_gallery", "at least one readable image", len(dataset)))
    classes = [str(name) for name in dataset.classes]
    notes: list[str] = []
    looked = {label: _look(model, examples, notes) for label, model in models.items()}
    images = []
    for index, example in enumerate(examples):
        panels = list(_panels(out, index, example, looked, classes))
        images.append({"name": example.name, "class": classes[example.label], "panels": panels})
    content = {"seed": seed, "asked": count, "images": images, "notes": list(dict.fromkeys(notes))}
    path = out / "index.json"
    write_bytes(path, json.dumps(content, indent=1).encode())
    return path


def _choose(dataset: Any, prepare: Prepare, count: int) -> Iterator[_Example]:
    """Images of all classes in turn, as far as a bounded search finds them."""
    by_class: dict[int, list[_Example]] = {}
    total = len(dataset)
    step = max(1, total // (8 * count))
    for index in range(0, total, step):
        item = dataset[index]
        label = getattr(item, "label", None)
        if label is None or len(by_class.get(int(label), ())) >= count:
            continue
        shown, ready = prepare(item.image)
        note = dataset.annotation(index)
        # Boxes are in pixels of the stored image: they fit only where that is what is shown.
        fits = note is not None and tuple(item.image.shape) == tuple(shown.shape)
        boxes = torch.as_tensor(note.boxes).float() if fits else None
        example = _Example(str(item.name), int(label), shown, ready, boxes)
        by_class.setdefault(int(label), []).append(example)
    rounds = [
        group[turn] for turn in range(count) for group in _sorted(by_class) if turn < len(group)
    ]
    yield from rounds[:count]


def _sorted(by_class: Mapping[int, list[_Example]]) -> list[list[_Example]]:
    return [by_class[label] for label in sorted(by_class)]


def _look(model: nn.Module, examples: list[_Example], notes: list[str]) -> _Looked:
    images = torch.stack([example.ready for example in examples])
    labels = torch.tensor([example.label for example in examples])
    model.eval()
    with torch.no_grad():
        predicted = model(images).argmax(1).tolist()
    cam: GradCam | None = None
    try:
        cam = grad_cam(model, images, classes=labels)
    except MissingExtraError as error:
        notes.append(f"Grad-CAM is left out: {error}")
    gates = gate_maps(model, images)
    return _Looked(predicted, cam, gates, _sites(model, images, examples, cam))


def _sites(
    model: nn.Module, images: Tensor, examples: list[_Example], cam: GradCam | None
) -> list[SitePoints]:
    if all(example.boxes is None for example in examples) and cam is None:
        return sampling_points(model, images)
    size = (images.shape[-2], images.shape[-1])
    fallback = torch.full((len(images), 2), 0.0) + (torch.tensor(size) - 1) / 2
    if cam is not None:
        fallback = strongest(cam.maps, size)
    for row, example in enumerate(examples):
        if example.boxes is not None and len(example.boxes):
            x0, y0, x1, y1 = example.boxes[0].tolist()
            fallback[row] = torch.tensor([(y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2])
    return sampling_points(model, images, fallback)


def _panels(
    out: Path, index: int, example: _Example, looked: Mapping[str, _Looked], classes: list[str]
) -> Iterator[dict[str, str]]:
    truth = classes[example.label]

    def save(figure: Any, kind: str, variant: str, caption: str, alt: str) -> dict[str, str]:
        name = f"{index}-{kind}-{variant}.png" if variant else f"{index}-{kind}.png"
        write_bytes(out / name, figures.png_bytes(figure))
        return {"file": name, "kind": kind, "variant": variant, "caption": caption, "alt": alt}

    box = "" if example.boxes is None else ", the deciding object in a dashed box"
    figure, ax = _panel()
    figures.draw_image(ax, example.shown, example.boxes)
    yield save(figure, "image", "", f"image, class {truth}", f"Image of class {truth}{box}")
    for label, seen in looked.items():
        guess = classes[seen.predicted[index]]
        outcome = "right" if guess == truth else "wrong"
        said = f"says {guess} ({outcome})"
        if seen.cam is not None:
            figure, ax = _panel()
            flat = bool(seen.cam.constant[index])
            figures.draw_heat(ax, example.shown, seen.cam.maps[index].cpu(), example.boxes)
            caption = f"{label}: Grad-CAM{', constant map' if flat else ''}; {said}"
            alt = f"Grad-CAM of {label} for class {truth} over the image"
            yield save(figure, "grad-cam", label, caption, alt)
    for label, seen in looked.items():
        if seen.gates:
            yield save(
                _gate_panel(seen.gates, index), "gate", label,
                f"{label}: gate, mean over channels, by site",
                f"Mean gate maps of {label} at {len(seen.gates)} sites",
            )  # fmt: skip
        if seen.sites:
            figure, ax = _panel(legend=True)
            outside = figures.draw_points(ax, example.shown, seen.sites, index, example.boxes)
            figure.legend(*ax.get_legend_handles_labels(), loc="lower center", ncol=2, fontsize=8,
                          frameon=False, handletextpad=0.1, columnspacing=0.8)  # fmt: skip
            total = sum(site.points.shape[1] for site in seen.sites)
            lost = f"; {outside} of {total} lie outside" if outside else ""
            yield save(
                figure, "points", label,
                f"{label}: sampling points for the cross, by site{lost}",
                f"Places that the gates of {label} read to weigh one position",
            )  # fmt: skip


def _panel(legend: bool = False) -> tuple[Any, Any]:
    figure = figures.new_figure(3.0, 3.5 if legend else 3.0)
    bottom = 0.5 / 3.5 if legend else 0.0
    return figure, figure.add_axes((0, bottom, 1, 1 - bottom))


def _gate_panel(gates: list[SiteGate], index: int) -> Any:
    figure = figures.new_figure(3.0, 3.5)
    side = 1 if len(gates) == 1 else 2
    shown = gates[-side * side :]
    axes = figure.subplots(side, side, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, gate in zip(axes.flat, shown, strict=False):
        ax.axis("on")
        figures.draw_gate(ax, gate, index)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.91, bottom=0.01, hspace=0.24, wspace=0.05)
    return figure

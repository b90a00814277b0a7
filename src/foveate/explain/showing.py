"""Pictures and the viewer of an explanation: a few images, each as every network sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from foveate.core.files import write_bytes
from foveate.data import ImageDataset, Sample
from foveate.explain.figures import png_bytes
from foveate.explain.health import SiteHealth
from foveate.explain.overview import draw_overview
from foveate.explain.regions import RegionSource
from foveate.explain.subjects import Subject, object_name, truth_of
from foveate.explain.survey.ledger import printable
from foveate.explain.viewer import ViewedImage, viewed, write_viewer

GRID = 4
"""The viewer knows receptive fields at so many places along a side."""

Tell = Callable[[str, int, int], None]


def spread(total: int, count: int) -> list[int]:
    """At most ``count`` places in [0, total), evenly spread.

    Example:
        >>> spread(10, 4), spread(2, 4), spread(3, 0)
        ([0, 2, 5, 7], [0, 1], [])
    """
    count = min(total, count)
    return [turn * total // count for turn in range(count)]


def draw_pictures(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    folder: Path,
    count: int,
    tell: Tell,
) -> list[dict[str, str]]:
    """Draw images spread over the data set, one PNG each, with all networks on it.

    Returns:
        Of each picture ``file`` (in ``folder``), ``name``, ``class``, ``caption`` and ``alt``.
    """
    found: list[dict[str, str]] = []
    for image, truth in _looked(subjects, dataset, regions, count, {}, 0, "drawing", tell):
        folder.mkdir(parents=True, exist_ok=True)
        file = f"{len(found):04d}.png"
        write_bytes(folder / file, png_bytes(draw_overview(image), colors=256))
        said = "; ".join(f"{one.label} says {one.says}" for one in image.networks)
        alt = f"{image.name} as {len(subjects)} networks see it: {said}"
        found.append(
            {"file": file, "name": image.name, "class": truth, "caption": said, "alt": alt}
        )
    return found


def draw_viewer(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    path: Path,
    count: int,
    health: Mapping[str, Sequence[SiteHealth]],
    tell: Tell,
) -> Path | None:
    """Write the page that shows sampling points under the cursor; None without an image."""
    looked = _looked(subjects, dataset, regions, count, health, GRID, "viewer", tell)
    images = [image for image, _ in looked]
    return write_viewer(path, images) if images else None


def _looked(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    count: int,
    health: Mapping[str, Sequence[SiteHealth]],
    grid: int,
    what: str,
    tell: Tell,
) -> Iterator[tuple[ViewedImage, str]]:
    """Each image with what every network sees in it, and the name of its class if it has one."""
    places = spread(len(dataset), count)
    for turn, place in enumerate(places, start=1):
        item = dataset[place]
        if isinstance(item, Sample):
            yield see(subjects, dataset, regions, place, item, health, grid)
        tell(what, turn, len(places))


def see(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    place: int,
    item: Sample,
    health: Mapping[str, Sequence[SiteHealth]],
    grid: int,
) -> tuple[ViewedImage, str]:
    """One image as every network sees it, in the frame of the first one.

    Receptive fields are those of ``grid`` x ``grid`` places, or, for 0, of the object's middle.
    """
    first = subjects[0]
    truth = dataset.classes[item.label] if 0 <= item.label < len(dataset.classes) else ""
    with torch.no_grad():
        said = int(first.model(first.ready(first.shown(item.image)[None])).argmax(1))
    name = object_name(first, dataset, item.label, said)
    region = regions.region(dataset, place, item.image, name)
    networks = []
    for one in subjects:
        shown = one.shown(item.image)
        middle = _middle(one, shown, region.mask)
        networks.append(
            viewed(
                one.model,
                shown,
                one.ready(shown[None])[0],
                label=one.label,
                classes=one.classes or (),
                truth=truth_of(one, dataset, item.label),
                grid=grid,
                at=None if grid else middle,
                health=health.get(one.label, ()),
            )
        )
    fitted = None if region.mask is None else first.fit_mask(region.mask)
    caption = f"class {truth}" if truth else ""
    image = ViewedImage(
        printable(item.name), first.shown(item.image), tuple(networks), caption, fitted
    )
    return image, truth


def _middle(one: Subject, shown: Tensor, mask: Tensor | None) -> Tensor:
    """The middle (1, 2) of what is left of the object in the frame, without one of the frame."""
    fitted = None if mask is None else one.fit_mask(mask)
    if fitted is None or not bool(fitted.any()):
        fitted = torch.ones(shown.shape[-2:], dtype=torch.bool)
    return fitted.nonzero().float().mean(0, keepdim=True)

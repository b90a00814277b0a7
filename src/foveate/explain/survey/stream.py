"""Go through images of any number, network by network, and write their scores down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from foveate.core import expected
from foveate.data import ImageDataset, Sample, Unreadable
from foveate.data.samples import Subset
from foveate.explain.grad_cam import GradCam, grad_cam
from foveate.explain.regions import Region, RegionSource
from foveate.explain.scores import deletion_insertion, score_maps, sfd, sfd_grid
from foveate.explain.subjects import Subject, object_name, truth_of
from foveate.explain.survey.ledger import CONSTANT, UNKNOWN, Ledger, Row, printable
from foveate.explain.survey.prints import fingerprints
from foveate.explain.survey.settings import SurveySettings, find_layers
from foveate.explain.targets import cam_targets

FIXED = "sfd:same B"
"""sfd over R and what any of the networks calls salient: the same B for all of them."""

_CURVES = ("deletion", "deletion:chance", "insertion", "insertion:chance")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Seen:
    """One network on one batch."""

    said: Tensor
    explained: Tensor
    truth: list[int | None]
    cams: dict[str, GradCam]
    regions: Tensor
    unknown: Tensor

    def no_score(self, layer: str) -> Tensor:
        """(N,) bool: where the map points nowhere, or explains another class than was asked."""
        return self.cams[layer].constant | self.unknown


def survey(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    folder: str | Path,
    settings: SurveySettings,
    *,
    provenance: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Ledger:
    """Score where each network finds its evidence, image by image.

    Memory does not grow with the number of images, which are read a batch at a time. What is
    written stays: the same call goes on where another one stopped.

    Args:
        subjects: Networks; told apart by label and seed.
        dataset: Images.
        regions: Where the object of each image lies; images without one are noted as such.
        folder: Gets ``scores.csv``, ``left-out.csv`` and ``survey.json``.
        settings: What is asked.
        provenance: What else decides the scores, such as the source of the images.
        progress: Told how many images are done, and of how many.

    Raises:
        ValueError: If a layer is not there, the folder holds another survey, or labels are asked
            to be explained that nobody knows.
    """
    layers = {subject.name: _layers(subject, settings.layers) for subject in subjects}
    _check_labels(subjects, dataset, settings)
    asked = {
        "networks": [subject.name for subject in subjects],
        **settings.told(),
        "regions": regions.describe(),
        "images": len(dataset),
        **(provenance or {}),
    }
    ledger = Ledger(
        Path(folder),
        asked,
        len(subjects) * len(settings.layers),
        batch=settings.batch_size,
        images=len(dataset),
        prints=fingerprints(subjects, dataset),
    )
    left = [index for index in range(len(dataset)) if index not in ledger.done]
    seen = len(dataset) - len(left)
    for items in _batches(dataset, left, settings):
        ready: list[tuple[int, Sample]] = []
        bad: dict[int, tuple[str, str]] = {}
        for item in items:
            place = left[item.index]
            if isinstance(item, Unreadable):
                bad[place] = printable(item.name), item.reason
            else:
                ready.append((place, item))
        ledger.leave_out(bad)
        if ready:
            found = _regions(regions, dataset, ready, subjects[0])
            ledger.add(list(_rows(subjects, dataset, ready, found, layers, settings)))
        seen += len(items)
        if progress is not None:
            progress(seen, len(dataset))
    return ledger


def _batches(
    dataset: ImageDataset, left: Sequence[int], settings: SurveySettings
) -> Iterator[list[Sample | Unreadable]]:
    """The images of ``left``, in the batches that a survey without an interruption has."""
    if not left:
        return iter(())
    blocks: dict[int, list[int]] = {}
    for turn, index in enumerate(left):
        blocks.setdefault(index // settings.batch_size, []).append(turn)
    return iter(
        DataLoader(
            Subset(dataset, left),
            batch_sampler=list(blocks.values()),
            num_workers=settings.workers,
            collate_fn=list,
            generator=torch.Generator(),
        )
    )


def _layers(subject: Subject, asked: Sequence[str]) -> dict[str, str]:
    """The target of each layer that is asked for: without a gate both its sides are the stage."""
    known = cam_targets(subject.model, subject.blank())
    modules = {name for name, _ in subject.model.named_modules() if name}
    return find_layers(asked, list(known), modules, subject.name)


def _check_labels(
    subjects: Sequence[Subject], dataset: ImageDataset, settings: SurveySettings
) -> None:
    if settings.explained == "label":
        for subject in subjects:
            known = (truth_of(subject, dataset, one) for one in range(len(dataset.classes)))
            if all(one is None for one in known):
                rule = f"images whose labels {subject.name} knows"
                remedy = "explain the predicted class"
                raise ValueError(expected("explain", rule, list(dataset.classes)[:5], remedy))


def _regions(
    source: RegionSource,
    dataset: ImageDataset,
    ready: Sequence[tuple[int, Sample]],
    first: Subject,
) -> list[Region]:
    """R of each image; it is named by its label, without one by what the first network says."""
    said = [-1] * len(ready)
    if any(not 0 <= item.label < len(dataset.classes) for _, item in ready):
        shown = torch.stack([first.shown(item.image) for _, item in ready])
        with torch.inference_mode():
            said = first.model(first.ready(shown)).argmax(1).tolist()
    return [
        source.region(dataset, place, item.image, object_name(first, dataset, item.label, guess))
        for (place, item), guess in zip(ready, said, strict=True)
    ]


def _rows(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    ready: Sequence[tuple[int, Sample]],
    found: Sequence[Region],
    layers: dict[str, dict[str, str]],
    settings: SurveySettings,
) -> Iterator[Row]:
    """The rows of a batch, image by image."""
    looked = {
        one.name: _look(one, dataset, ready, found, layers[one.name], settings) for one in subjects
    }
    columns = {
        (one.name, layer): {
            **_scores(one, looked[one.name], layer, ready, settings),
            **_same_b(looked[one.name], list(looked.values()), layer, settings),
        }
        for one in subjects
        for layer in settings.layers
    }
    for row, (place, item) in enumerate(ready):
        for one in subjects:
            for layer in settings.layers:
                seen = looked[one.name]
                yield {
                    "index": place,
                    "image": printable(item.name),
                    "network": one.label,
                    "seed": one.seed,
                    "layer": layer,
                    "truth": seen.truth[row],
                    "said": int(seen.said[row]),
                    "explained": None if seen.unknown[row] else int(seen.explained[row]),
                    "flag": _flag(seen, layer, row, found[row]),
                    **{key: float(value[row]) for key, value in columns[one.name, layer].items()},
                }


def _flag(seen: _Seen, layer: str, row: int, region: Region) -> str:
    """Why an image has no scores; empty if it has."""
    if bool(seen.unknown[row]):
        return UNKNOWN
    if region.mask is None:
        return region.reason or "no region"
    if not bool(seen.regions[row].any()):
        return "the object lies outside of what the network sees"
    return CONSTANT if bool(seen.cams[layer].constant[row]) else ""


def _look(
    subject: Subject,
    dataset: ImageDataset,
    ready: Sequence[tuple[int, Sample]],
    found: Sequence[Region],
    layers: dict[str, str],
    settings: SurveySettings,
) -> _Seen:
    shown = torch.stack([subject.shown(item.image) for _, item in ready])
    images = subject.ready(shown)
    truth = [truth_of(subject, dataset, item.label) for _, item in ready]
    with torch.no_grad():
        said = subject.model(images).argmax(1)
    explained, unknown = said, torch.zeros_like(said, dtype=torch.bool)
    if settings.explained == "label":
        labels = torch.tensor([-1 if one is None else one for one in truth], device=said.device)
        unknown = labels < 0
        explained = torch.where(unknown, said, labels)
    empty = torch.zeros(shown.shape[-2:], dtype=torch.bool)
    masks = [empty if r.mask is None else subject.fit_mask(r.mask) for r in found]
    cams = {
        layer: grad_cam(subject.model, images, target, explained)
        for layer, target in layers.items()
    }
    return _Seen(said, explained, truth, cams, torch.stack(masks).to(images.device), unknown)


def _scores(
    subject: Subject,
    seen: _Seen,
    layer: str,
    ready: Sequence[tuple[int, Sample]],
    settings: SurveySettings,
) -> dict[str, Tensor]:
    """All scores of one network and layer: NaN where the map is constant or R is empty."""
    cam, grid = seen.cams[layer], settings.grid
    scores = score_maps(cam.maps, cam.raw, seen.regions, settings.scores)
    scores |= sfd_grid(
        cam.maps,
        seen.regions,
        bases=grid.bases,
        shifts=grid.shifts,
        thresholds=grid.thresholds,
        chance=True,
    )
    if settings.deletion:
        # One layer is enough for what costs hundreds of passes; the table keeps its columns.
        scores |= {name: torch.full((len(cam.maps),), math.nan) for name in _CURVES}
        if layer == settings.layers[0]:
            images = subject.ready(torch.stack([subject.shown(item.image) for _, item in ready]))
            scores |= deletion_insertion(
                subject.model, images, cam.maps, cam.classes, steps=settings.deletion
            ).scores()
    return {
        name: torch.where(seen.no_score(layer).to(value.device), math.nan, value).cpu()
        for name, value in scores.items()
    }


def _same_b(
    seen: _Seen, others: Sequence[_Seen], layer: str, settings: SurveySettings
) -> dict[str, Tensor]:
    """Score by the salient pixels of all networks together, where their images are of one size."""
    maps = [other.cams[layer].maps for other in others]
    if len(others) < 2 or len({one.shape for one in maps}) > 1:
        return {}
    asked = settings.scores
    salient = torch.stack([one >= asked.threshold for one in maps]).any(0)
    cam = seen.cams[layer]
    score = sfd(cam.maps, seen.regions, base=asked.base, shift=asked.shift, salient=salient)
    gone = seen.no_score(layer).to(score.score.device)
    return {
        FIXED: torch.where(gone, math.nan, score.score).cpu(),
        f"{FIXED}:chance": torch.where(gone, math.nan, score.chance).cpu(),
    }

"""Everything about where networks look, in one folder: scores, health, pictures, a viewer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from foveate.core import Words, expected
from foveate.core.environment import command, commit, machine, versions
from foveate.core.files import write_json
from foveate.data import ImageDataset, Sample
from foveate.explain.health import GateHealth, SiteHealth
from foveate.explain.regions import Cached, RegionSource, write_contact_sheet
from foveate.explain.scores import SCORES
from foveate.explain.showing import draw_pictures, draw_viewer, spread
from foveate.explain.subjects import Subject
from foveate.explain.survey import SurveySettings, summarize, survey
from foveate.explain.survey.stream import FIXED
from foveate.explain.survey.summary import OVER
from foveate.surgery import inserted

HEALTH_IMAGES = 128
"""Images that the health of the gates is told from."""

Tell = Callable[[str, int, int], None]


def explain_images(
    subjects: Sequence[Subject],
    dataset: ImageDataset,
    regions: RegionSource,
    folder: str | Path,
    settings: SurveySettings,
    *,
    base: str | None = None,
    source: str = "",
    title: str = "",
    pictures: int = 12,
    view: int = 4,
    progress: Tell | None = None,
) -> Path:
    """Look at networks and leave all that was found in a folder.

    The folder gets ``scores.csv`` (see :func:`~foveate.explain.survey.survey`), ``pictures/``,
    ``viewer.html``, a contact sheet if regions were found by models, and, last, ``explain.json``.
    The same call goes on where another one stopped.

    Args:
        subjects: Networks; those of one label are runs of one network with several seeds.
        dataset: Images.
        regions: Where the object of each image lies.
        folder: Made if missing.
        settings: What is scored.
        base: Label of the network that the others are compared with.
        source: Where the images come from, in a word.
        title: Of the report.
        pictures: Images to draw, spread over the data set; of each label its first seed.
        view: Images in the viewer.
        progress: Told what is being done, how many images of it are done, and of how many.

    Returns:
        The path of ``explain.json``.

    Raises:
        ValueError: If a layer is not there, the folder holds another explanation or something
            else, or no image can be read.
        OSError: If the disk is full or cannot be written.
    """
    tell = progress or _quietly
    began, out = time.monotonic(), Path(folder)
    ledger = survey(
        subjects,
        dataset,
        regions,
        out,
        settings,
        provenance={"source": source},
        progress=lambda done, total: tell("scoring", done, total),
    )
    if not ledger.done:
        first = "; ".join(f"{one['image']}: {one['reason']}" for one in ledger.left_out[:1])
        rule = "at least one image that can be read"
        raise ValueError(expected("explain", rule, Words(f"none of {len(dataset)} ({first})")))
    shown = _first_of_each(subjects)
    health = {one.label: _health(one, dataset, settings.batch_size, tell) for one in shown}
    drawn = draw_pictures(shown, dataset, regions, out / "pictures", pictures, tell)
    page = out / "viewer.html"
    viewer = draw_viewer(shown, dataset, regions, page, view, health, tell)
    content = {
        "title": title or " against ".join(dict.fromkeys(one.label for one in subjects)),
        "summary": summarize(out, base),
        "settings": {**settings.told(), "regions": regions.describe(), "source": source},
        "scores": _meanings(),
        "health": {label: [asdict(site) for site in found] for label, found in health.items()},
        "pictures": drawn,
        "viewer": viewer.name if viewer else None,
        "contact_sheet": _contact_sheet(regions, out),
        "left_out": ledger.left_out,
        "about": {one.name: one.about for one in subjects},
        "conditions": {
            "versions": versions(),
            "machine": machine(),
            "command": command(),
            "commit": commit(),
            "seconds": round(time.monotonic() - began, 1),
        },
    }
    path = out / "explain.json"
    write_json(path, content)
    return path


def _first_of_each(subjects: Sequence[Subject]) -> list[Subject]:
    first: dict[str, Subject] = {}
    for one in subjects:
        first.setdefault(one.label, one)
    return list(first.values())


def _meanings() -> dict[str, Mapping[str, Any]]:
    """What each score is, for whoever reads the folder without this library."""
    told = {name: asdict(one) for name, one in SCORES.items()}
    same = {**told["sfd"], "name": FIXED, "title": "sfd, the same B for all networks"}
    over = {**told["sfd"], "name": OVER, "title": "sfd less its chance level", "low": -1.0}
    return {**told, FIXED: same, OVER: {**over, "chance": "0"}}


def _health(
    subject: Subject, dataset: ImageDataset, batch_size: int, tell: Tell
) -> list[SiteHealth]:
    """How the gates of a network do, over images spread through the data set."""
    if not inserted(subject.model):
        return []
    health = GateHealth()
    places = spread(len(dataset), HEALTH_IMAGES)
    for start in range(0, len(places), batch_size):
        items = [dataset[place] for place in places[start : start + batch_size]]
        shown = [subject.shown(item.image) for item in items if isinstance(item, Sample)]
        if shown:
            health.update(subject.model, subject.ready(torch.stack(shown)))
        done = min(len(places), start + batch_size)
        tell(f"health of {subject.label}", done, len(places))
    return list(health.report())


def _contact_sheet(regions: RegionSource, out: Path) -> str | None:
    """A page to check by eye what models took for the object; masks of the data need none."""
    source: Any = regions
    while source is not None and not isinstance(source, Cached):
        source = getattr(source, "source", None)
    if source is None or not source.folder.is_dir():
        return None
    return write_contact_sheet(source.folder, out / "contact-sheet.html").name


def _quietly(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""

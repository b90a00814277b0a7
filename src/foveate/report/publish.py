"""A finished study as four files of one name: numbers, epochs, plot and page."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from foveate.core.files import write_bytes
from foveate.core.reading import read_object, whole
from foveate.report.copies import copy_pictures
from foveate.report.detected_plots import draw_precision
from foveate.report.explained import KIND, Explained
from foveate.report.explained_kept import write_kept
from foveate.report.explained_page import explained_page
from foveate.report.explained_picture import draw_explained
from foveate.report.kept import keep, metrics_csv
from foveate.report.pages import markdown_index, markdown_page
from foveate.report.pictures import draw

SUMMARY = "summary"
_RULE = "what was kept of a study, as foveate writes it"


def publish(
    study: str | Path, folder: str | Path, name: str = SUMMARY, title: str = "", note: str = ""
) -> Path:
    """Write what a finished study came to.

    ``NAME.json`` holds the numbers, tests and conditions, ``NAME.csv`` every epoch of every run,
    ``NAME.png`` the plot, ``NAME.md`` the page; of detectors ``NAME-curves.png`` their precision
    over recall, and ``NAME-1.png`` and so on the first pictures of the study.

    Args:
        study: The study folder.
        folder: Where the files go.
        name: Their name.
        title: Title of the page; by default the one that the study folder's own summary has.
        note: A limit of the study that its files cannot tell; it follows that of the summary.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: If the folder is no study.
        ValueError: If runs or costs are missing.
        ImportError: If matplotlib is missing.
    """
    known = _read(Path(study) / f"{SUMMARY}.json") if name != SUMMARY else {}
    said = " ".join(text for text in (known.get("note", ""), note) if text)
    kept = keep(study, title or known.get("title", ""), said)
    target = Path(folder)
    if "detected" in kept:
        found = kept["detected"]
        pictures = ((one, Path(study) / one["file"]) for one in found["pictures"])
        found["pictures"] = copy_pictures(pictures, target, name)
        found["plot"] = f"{name}-curves.png" if found["curves"] else None
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    write_bytes(target / f"{name}.csv", metrics_csv(study).encode())
    for place, plot in _plots(target / f"{name}.json", kept).items():
        write_bytes(place, plot())
    write_bytes(target / f"{name}.json", text.encode())
    page = target / f"{name}.md"
    write_bytes(page, page_of(target / f"{name}.json").encode())
    return page


def publish_explained(
    folder: str | Path, target: str | Path, name: str, title: str = "", note: str = ""
) -> Path:
    """Write what a folder of ``foveate explain`` came to, as files of one name with a page.

    Args:
        folder: The folder.
        target: Where the files go.
        name: Their name.
        title: Title of the page; by default that of the folder.
        note: A limit that the files cannot tell.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: If the folder has no ``explain.json``.
        ValueError: If it is damaged.
        ImportError: If matplotlib is missing.
    """
    numbers = write_kept(folder, target, name, title, note)
    page = numbers.with_suffix(".md")
    write_bytes(page, page_of(numbers).encode())
    return page


def page_of(numbers: Path) -> str:
    """The page of a ``NAME.json``, which links to those of its files that are there."""
    kept = _read(numbers)
    with whole(str(numbers), _RULE):
        return _page_of(numbers, kept)


def _page_of(numbers: Path, kept: dict[str, Any]) -> str:
    make, rows = markdown_page, "every epoch of every run"
    if kept.get("kind") == KIND:
        make, rows = explained_page, "means by layer, network and seed"
    named = (("numbers", numbers), (rows, numbers.with_suffix(".csv")))
    files = [(title, path.name) for title, path in named if path.is_file()]
    return make(kept, numbers.with_suffix(".png").name, files)


def pages_of(folder: str | Path) -> dict[Path, str]:
    """Every page that belongs into a folder of published studies, and its index, by path."""
    found = sorted(Path(folder).glob("*.json"))
    pages = {path.with_suffix(".md"): page_of(path) for path in found}
    with whole(str(folder), _RULE):
        index = markdown_index({path.stem: _read(path) for path in found})
    return {**pages, Path(folder) / "README.md": index}


def lacking(folder: str | Path) -> list[Path]:
    """Pictures that pages of a folder of published studies show and that are not there."""
    lacks = []
    for path in sorted(Path(folder).glob("*.json")):
        kept = _read(path)
        copied = kept.get("pictures") or kept.get("detected", {}).get("pictures") or ()
        shown = [*_plots(path, kept), *(path.parent / str(one["file"]) for one in copied)]
        lacks += [place for place in shown if not place.is_file()]
    return lacks


def draw_missing(folder: str | Path) -> list[Path]:
    """Draw the plots that a folder of published studies lacks; return their paths."""
    drawn = []
    for path in sorted(Path(folder).glob("*.json")):
        for place, plot in _plots(path, _read(path)).items():
            if not place.is_file():
                write_bytes(place, plot())
                drawn.append(place)
    return drawn


def _plots(numbers: Path, kept: dict[str, Any]) -> dict[Path, Callable[[], bytes]]:
    """Everything that is drawn from the numbers of a page, by where it lies."""
    picture = numbers.with_suffix(".png")
    if kept.get("kind") == KIND:
        return {picture: lambda: draw_explained(Explained(kept))}
    plots: dict[Path, Callable[[], bytes]] = {picture: partial(draw, kept)}
    found = kept.get("detected") or {}
    if found.get("plot"):
        plots[numbers.with_name(found["plot"])] = partial(draw_precision, found["curves"])
    return plots


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    return read_object(path, _RULE)

"""A finished study as four files of one name: numbers, epochs, plot and page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from foveate.core.files import write_bytes
from foveate.report.kept import keep, metrics_csv
from foveate.report.pages import markdown_index, markdown_page
from foveate.report.pictures import draw

SUMMARY = "summary"


def publish(
    study: str | Path, folder: str | Path, name: str = SUMMARY, title: str = "", note: str = ""
) -> Path:
    """Write what a finished study came to.

    ``NAME.json`` holds the numbers, tests and conditions, ``NAME.csv`` every epoch of every run,
    ``NAME.png`` the plot, ``NAME.md`` the page.

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
    text = json.dumps(kept, indent=1, ensure_ascii=False) + "\n"
    write_bytes(target / f"{name}.csv", metrics_csv(study).encode())
    write_bytes(target / f"{name}.png", draw(kept))
    write_bytes(target / f"{name}.json", text.encode())
    page = target / f"{name}.md"
    write_bytes(page, page_of(target / f"{name}.json").encode())
    return page


def page_of(numbers: Path) -> str:
    """The page of a ``NAME.json``, which links to those of its files that are there."""
    named = (("numbers", numbers), ("every epoch of every run", numbers.with_suffix(".csv")))
    files = [(title, path.name) for title, path in named if path.is_file()]
    return markdown_page(_read(numbers), numbers.with_suffix(".png").name, files)


def pages_of(folder: str | Path) -> dict[Path, str]:
    """Every page that belongs into a folder of published studies, and its index, by path."""
    found = sorted(Path(folder).glob("*.json"))
    pages = {path.with_suffix(".md"): page_of(path) for path in found}
    index = markdown_index({path.stem: _read(path) for path in found})
    return {**pages, Path(folder) / "README.md": index}


def draw_missing(folder: str | Path) -> list[Path]:
    """Draw the plots that a folder of published studies lacks; return their paths."""
    drawn = []
    for path in sorted(Path(folder).glob("*.json")):
        picture = path.with_suffix(".png")
        if not picture.is_file():
            write_bytes(picture, draw(_read(path)))
            drawn.append(picture)
    return drawn


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return tree

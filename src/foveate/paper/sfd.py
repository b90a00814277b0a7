"""The published sfd scores beside ours, from the folders that ``foveate explain`` leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foveate.core import expected
from foveate.core.reading import read_object, whole
from foveate.paper.counting import Tell, quietly
from foveate.paper.published import published_table
from foveate.paper.selection import chosen_groups
from foveate.paper.table import NOT_RUN, Cells, Footnotes, PaperTable, Section

RECORD = "explain.json"
_HEADS = ("network", "sfd", "95 % over images", "chance", "same B", "same B:\nchance", "seeds")


def sfd(runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly) -> PaperTable:
    """The published scores, and every score that was measured here, each beside its chance level.

    Args:
        runs: A folder in which explanations are looked for, None for none.
        only: Must be empty: the table has one group of rows.
        tell: Not told anything: there is nothing to wait for.
    """
    table = published_table("sfd")
    marks = Footnotes()
    rows = [row for group in chosen_groups(table, only) for row in group.rows]
    cells = [(row.label, marks.cell(row.paper.get("sfd")), "unknown") for row in rows]
    heads = ("network", "printed", "printed: chance")
    found = list(explanations(runs)) if runs is not None else []
    ours = []
    for name, record in found:
        with whole(f"{RECORD} of {name}", "what foveate explain writes"):
            ours.append(_section(name, record))
    missing = () if ours else (f"Ours: {NOT_RUN}. Make it with foveate paper sfd --weights RUN.",)
    return PaperTable(
        name=table.name,
        title=table.title,
        sections=(Section("Published: mean over images, 0 to 1", heads, cells), *ours),
        notes=(*table.notes, *missing, *marks.lines()),
        records=(
            *(
                {
                    "label": row.label,
                    "paper": {key: figure.record() for key, figure in row.paper.items()},
                }
                for row in rows
            ),
            *(_record(name, record) for name, record in found),
        ),
    )


def explanations(runs: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every explanation below a folder that has scores, by the name of its own folder.

    Raises:
        FileNotFoundError: If there is no such folder.
    """
    if not runs.is_dir():
        raise FileNotFoundError(expected("paper sfd", "a folder with explanations", str(runs)))
    for path in sorted(runs.rglob(RECORD)):
        try:
            record = read_object(path)
            layer = record["summary"]["layers"][0]
            if "sfd" in record["summary"]["scores"][layer]:
                place = path.parent.relative_to(runs)
                yield str(place) if place.parts else runs.resolve().name, record
        except (ValueError, KeyError, TypeError, IndexError):
            continue  # Half of one, or something else of that name.


def _section(name: str, record: Mapping[str, Any]) -> Section:
    summary, settings = record["summary"], record["settings"]
    layer = summary["layers"][0]
    scores = summary["scores"][layer]
    asked = settings["scores"]
    title = (
        f"Here, {name}: {summary['images']} images of {settings['source']}, {layer},"
        f" base {asked['base']:g}, shift {asked['shift']:g}, threshold {asked['threshold']:g}"
    )
    rows: list[Cells] = []
    for network in summary["networks"]:
        one = scores["sfd"][network]
        same = scores.get("sfd:same B", {}).get(network, {})
        ends = [_text(one.get(end)) for end in ("low", "high")]
        rows.append(
            (
                network,
                _text(one["mean"]),
                "-" if "-" in ends else f"{ends[0]} to {ends[1]}",
                _text(one.get("chance")),
                _text(same.get("mean")),
                _text(same.get("chance")),
                str(len(summary["seeds"][network])),
            )
        )
    return Section(title, _HEADS, rows)


def _record(name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    summary = record["summary"]
    scores = summary["scores"][summary["layers"][0]]
    kept = {key: scores[key] for key in ("sfd", "sfd:same B") if key in scores}
    return {"here": name, "layer": summary["layers"][0], "images": summary["images"], **kept}


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

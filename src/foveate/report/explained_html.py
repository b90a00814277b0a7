"""The report of an explain folder as one HTML file, and its sections for the report of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from foveate.core.files import write_bytes
from foveate.core.reading import lies_in
from foveate.report import explained_table as tables
from foveate.report import explained_wording as wording
from foveate.report.explained import FILE, Explained, read_explained
from foveate.report.explained_plots import setting_charts
from foveate.report.plots import styles
from foveate.report.templating import environment, inline_png, markup

_PLACES = ("", "pictures")


def write_explain_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a folder of ``foveate explain``, from that folder alone.

    Args:
        folder: It holds ``explain.json``; pictures and pages that it names and that are gone are
            left out.

    Returns:
        The path of ``report.html``.

    Raises:
        FileNotFoundError: If there is no ``explain.json``: the explanation was not finished.
        ValueError: If it is damaged.
        ImportError: If jinja2 is missing.
    """
    record = read_explained(folder)
    page: str = environment().get_template("explained.html.jinja").render(sections(record))
    path = Path(folder) / "report.html"
    write_bytes(path, page.encode())
    return path


def sections(
    record: Explained, below: str = "", style: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Everything that the templates show of an explanation.

    Args:
        record: The explanation.
        below: The folder of the explanation as seen from the page, such as ``"explain/"``.
        style: Classes of the style sheet by network; by default the base is gray, and the
            others take turns.
    """
    tones = _tones(record) if style is None else dict(style)
    health = tables.health_table(record)
    shown = [tables.scores_table(record)] if record.names or record.beside else []
    shown += [tables.gaps_table(record)] if record.others and record.names else []
    seeds = []
    if record.most_seeds > 1 and record.names:
        seeds = [tables.seeds_table(record)]
        seeds += [tables.seed_gaps_table(record)] if record.others else []
    layers = list(dict.fromkeys(setting.layer for setting in record.varied))
    look = {
        "title": record.title,
        "headline": wording.headline(record),
        "remarks": wording.remarks(record),
        "sfd_is": wording.SFD_IS,
        "scores": [_part(one) for one in shown],
        "legend": wording.legend(record),
        "seeds": [_part(one) for one in seeds],
        "sensitivity": wording.sensitivity(record),
        "charts": {
            layer: [markup(svg) for svg in charts]
            for layer, charts in setting_charts(record, tones).items()
        },
        "shifts": list(dict.fromkeys(setting.shift for setting in record.varied)),
        "settings": [_part(tables.settings_table(record, layer)) for layer in layers],
        "counts": _part(tables.counts_table(record)),
        "left_out": list(record.tree.get("left_out") or ()),
        "health": None if health is None else _part(health),
        "pictures": list(_pictures(record)),
        "links": list(_links(record, below)),
        "notes": list(record.tree.get("notes") or ()),
        "limits": wording.limits(record),
        "conditions": wording.conditions(record),
    }
    return {"look": look, "networks": record.networks, "styles": tones}


def _tones(record: Explained) -> dict[str, str]:
    """Classes of the style sheet: what the others are compared with is gray."""
    others = styles([name for name in record.networks if name != record.base])
    return {**others, **({record.base: "c0"} if record.base is not None else {})}


def _part(table: tables.Table) -> dict[str, Any]:
    """A table as the template of all tables takes it."""
    return {
        "caption": table.caption,
        "columns": [{"title": head, "words": table.words} for head in table.heads],
        "rows": [({"label": row[0]}, [_unbroken(cell) for cell in row]) for row in table.rows],
    }


def _unbroken(cell: str) -> str:
    """A cell whose lines do not end between a name and its number."""
    space = "\N{NO-BREAK SPACE}"
    return cell.replace(" p ", f" p{space}").replace("chance ", f"chance{space}")


def _pictures(record: Explained) -> Iterator[dict[str, str]]:
    for picture in record.tree.get("pictures") or ():
        path = find_inside(record, str(picture.get("file", "")))
        if path is not None:
            texts = {key: str(picture.get(key) or "") for key in ("name", "class", "caption")}
            alt = str(picture.get("alt") or texts["caption"] or texts["name"] or "picture")
            yield {**texts, "alt": alt, "source": inline_png(path)}


def find_inside(record: Explained, name: str) -> Path | None:
    """A file of the folder or of its pictures; None if it is gone or its name leads elsewhere."""
    if record.folder is None or not name:
        return None
    for place in _PLACES:
        if lies_in(record.folder / place, name):
            return (record.folder / place / name).resolve()
    return None


def _links(record: Explained, below: str) -> Iterator[tuple[str, str]]:
    """Files beside the page, as title and address."""
    for title, name in (
        ("Viewer: every sampling point of every gate, by pointer or keys", "viewer"),
        ("Contact sheet: the regions, to check by eye", "contact_sheet"),
    ):
        file = record.tree.get(name)
        if file and find_inside(record, str(file)) is not None:
            yield title, f"{below}{file}"
    for title, file in (
        ("Every score of every image (CSV)", "scores.csv"),
        ("All numbers of this page (JSON)", FILE),
    ):
        if find_inside(record, file) is not None:
            yield title, f"{below}{file}"

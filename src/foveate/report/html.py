"""The report as one HTML file that needs nothing else: styles, charts and pictures are inside."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foveate.core import require
from foveate.core.files import write_bytes
from foveate.report import plots, table, wording
from foveate.report.reading import StudyRecord, find_key, read_study
from foveate.report.starts import BASE, starts_of

_TEMPLATES = Path(__file__).parent / "templates"
_KINDS = {"image": "Image", "grad-cam": "Grad-CAM", "gate": "Gate", "points": "Sampling points"}


def write_report(study_folder: str | Path) -> Path:
    """Write ``report.html`` and ``results.csv`` into a study folder, from that folder alone.

    A study that is not finished is reported as far as it got, and the page says what is missing.

    Args:
        study_folder: What ``foveate compare`` made.

    Returns:
        The path of ``report.html``.

    Raises:
        FileNotFoundError: If the folder is missing or is no study.
        ValueError: If a file in it is damaged; the file is named.
        ImportError: If jinja2 is missing.
    """
    study = read_study(study_folder)
    rows = table.rows_of(study)
    page = render(study, rows)
    _write(study.path / "results.csv", table.csv_text(rows))
    return _write(study.path / "report.html", page)


def render(study: StudyRecord, rows: list[table.Row]) -> str:
    """The whole page as text."""
    jinja2 = require("jinja2", "train", "the HTML report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    safe = jinja2.utils.markupsafe.Markup
    data, model = _subject(study)
    page: str = environment.get_template("report.html.jinja").render(
        data=data,
        model=model,
        headline=wording.headline(rows, wording.class_count(study)),
        legend=wording.legend(study),
        starts=_starts(study),
        accuracy=_cells(rows, "accuracy"),
        control=_cells([row for row in rows if row.against_wider], "control"),
        cost=_cells(rows, "cost"),
        styles={BASE: "c0", **plots.styles(study.labels)},
        curves=[(label, safe(svg)) for label, svg in plots.learning_curves(study)],
        charts=[safe(svg) for svg in plots.cost_charts(study, rows)],
        pictures=list(_pictures(study)),
        explain_notes=study.explained.get("notes", []),
        explain_seed=study.explained.get("seed"),
        conditions=list(_conditions(study)),
        unreadable=wording.unreadable(study),
        limits=wording.limits(study, rows),
        study_toml=_text(study.path / "study.toml"),
        recipe_toml=_recipe(study),
        seeds=len(study.seeds),
    )
    return page


def _cells(rows: list[table.Row], which: str) -> dict[str, Any]:
    columns = table.columns(which)
    return {
        "columns": columns,
        "rows": [(row, [column.text(row) for column in columns]) for row in rows],
    }


def _starts(study: StudyRecord) -> dict[str, Any] | None:
    """The tables of a study that fine-tunes, for the same grid as all tables."""
    found = starts_of(study)
    if found is None:
        return None
    heads = [{"title": title, "words": False} for title in found["columns"]]
    made = {
        key: {"columns": heads, "rows": [({"label": row[0]}, row) for row in found[key]]}
        for key in ("rows", "gaps")
    }
    return {"headline": found["headline"], **made}


def _subject(study: StudyRecord) -> tuple[str, str]:
    run = study.any_run()
    config = run.config if run else {}
    data, model = config.get("data", {}), config.get("model", {})
    source = data.get("source") or find_key(study.study, "source") or "unknown data"
    name = model.get("name") or find_key(study.study, "model") or "unknown model"
    name = name if isinstance(name, str) else str(find_key(study.study, "name"))
    width = model.get("width", 1.0)
    return str(source), name if width == 1 else f"{name} at {width:g} of its width"


def _pictures(study: StudyRecord) -> Iterator[dict[str, Any]]:
    """The explanation grid: per image its panels, grouped by kind, as data URIs."""
    for image in study.explained.get("images", []):
        groups: dict[str, list[dict[str, str]]] = {}
        for panel in image.get("panels", []):
            path = study.path / "explain" / str(panel.get("file", ""))
            # A name that leads out of the folder, or a picture that is gone, is not shown.
            if path.parent != study.path / "explain" or not path.is_file():
                continue
            source = base64.b64encode(path.read_bytes()).decode("ascii")
            shown = {**panel, "source": f"data:image/png;base64,{source}"}
            groups.setdefault(_KINDS.get(panel.get("kind", ""), "Other"), []).append(shown)
        yield {"name": image.get("name", ""), "class": image.get("class", ""), "groups": groups}


def _conditions(study: StudyRecord) -> Iterator[tuple[str, str]]:
    runs = [run for by_seed in study.runs.values() for run in by_seed.values()]
    yield "seeds", ", ".join(str(seed) for seed in study.seeds)
    for key in runs[0].environment if runs else ():
        if key not in ("seed", "started", "ended", "resumed"):
            # A study may go on after an interruption, elsewhere or with other versions.
            values = dict.fromkeys(wording.told(run.environment.get(key)) for run in runs)
            yield key, "; in other runs: ".join(values)
    if runs:
        seconds = sum(float((run.result or {}).get("seconds") or 0.0) for run in runs)
        yield "training time, all runs", f"{seconds:.0f} s"
    for key, value in study.conditions.items():
        yield f"cost measurement: {key}", wording.told(value)


def _recipe(study: StudyRecord) -> str:
    run = study.any_run()
    return _text(run.path / "config.toml") if run else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(path: Path, text: str) -> Path:
    """Write whole or not at all: a reader never sees half a report."""
    write_bytes(path, text.encode())
    return path

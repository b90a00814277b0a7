"""The report as one HTML file that needs nothing else: styles, charts and pictures are inside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foveate.core.files import write_bytes
from foveate.report import plots, table, wording
from foveate.report.detected import OVERLAPS, detected_of
from foveate.report.detected_plots import precision_charts
from foveate.report.explained import FILE, read_explained
from foveate.report.explained_html import sections
from foveate.report.reading import StudyRecord, read_study, whole_study
from foveate.report.rows import Row, rows_of
from foveate.report.starts import BASE, starts_of
from foveate.report.templating import environment, inline_png, markup

EXPLAIN = "explain"


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
    with whole_study(study.path):
        rows = rows_of(study)
        page = render(study, rows)
    _write(study.path / "results.csv", table.csv_text(rows))
    return _write(study.path / "report.html", page)


def render(study: StudyRecord, rows: list[Row]) -> str:
    """The whole page as text."""
    data, model = wording.subject(study)
    metric = study.metric
    style = {BASE: "c0", **plots.styles(study.labels)}
    seen = _seen(study, style)
    look = seen.get("look") or {}
    page: str = (
        environment()
        .get_template("report.html.jinja")
        .render(
            data=data,
            model=model,
            metric=metric,
            headline=wording.headline(rows, wording.class_count(study)),
            legend=wording.legend(study),
            starts=_starts(study),
            accuracy=_cells(rows, "accuracy"),
            control=_cells([row for row in rows if row.against_wider], "control"),
            cost=_cells(rows, "cost"),
            detected=_detected(study, style),
            overlaps=OVERLAPS,
            further=_cells(rows, "further"),
            gaps=_cells([row for row in rows if row.further_gaps], "gaps"),
            styles=style,
            curves=[(label, markup(svg)) for label, svg in plots.learning_curves(study)],
            charts=[markup(svg) for svg in plots.cost_charts(study, rows)],
            look=look,
            networks=seen.get("networks", []),
            conditions=[*_conditions(study), *_told(look)],
            unreadable=wording.unreadable(study),
            limits=[*wording.limits(study, rows), *look.get("limits", [])],
            study_toml=_text(study.path / "study.toml"),
            recipe_toml=_recipe(study),
            seeds=len(study.seeds),
        )
    )
    return page


def _seen(study: StudyRecord, style: dict[str, str]) -> dict[str, Any]:
    """Where the networks of the study look, if that was found out."""
    folder = study.path / EXPLAIN
    if not (folder / FILE).is_file():
        return {}
    record = read_explained(folder)
    more = {name: "c0" for name in record.networks if name not in style}
    return sections(record, f"{EXPLAIN}/", {**more, **style})


def _told(look: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in look.get("conditions", ()):
        yield f"maps and scores: {key}", value


def _cells(rows: list[Row], which: str) -> dict[str, Any]:
    columns = table.columns(which, rows[0].metric) if rows else []
    return {
        "columns": columns,
        "rows": [(row, [column.text(row) for column in columns]) for row in rows],
    }


def _starts(study: StudyRecord) -> dict[str, Any] | None:
    """The tables of a study that fine-tunes, for the same grid as all tables."""
    found = starts_of(study)
    if found is None:
        return None
    made = {key: _grid(found["columns"], found[key]) for key in ("rows", "gaps")}
    return {"headline": found["headline"], **made}


def _detected(study: StudyRecord, style: dict[str, str]) -> dict[str, Any] | None:
    """What only detectors have, for the page."""
    found = detected_of(study)
    if found is None:
        return None
    charts = [(label, markup(svg)) for label, svg in precision_charts(found["curves"], style)]
    classes = _grid(found["classes"]["columns"], found["classes"]["rows"])
    pictures = [
        {**one, "source": inline_png(study.path / one["file"])} for one in found["pictures"]
    ]
    return {**found, "curves": charts, "classes": classes, "pictures": pictures}


def _grid(columns: list[str], rows: list[list[str]]) -> dict[str, Any]:
    """Texts as the grid of all tables takes them."""
    heads = [{"title": title, "words": False} for title in columns]
    return {"columns": heads, "rows": [({"label": row[0]}, row) for row in rows]}


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

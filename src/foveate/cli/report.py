"""``foveate report``: write the report of a study again, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def report(
    study: Annotated[Path, typer.Argument(help="A study folder made by `foveate compare`.")],
) -> None:
    """Write report.html and results.csv of a study again, and print its table.

    Works on an unfinished study too, and says what is missing.

    Example:
        foveate report runs/compare-scenes-resnet18
    """
    from foveate.report import write_report

    show(write_report(study))


def show(page: Path) -> None:
    """Print the tables of the study that ``page`` reports, and where its files lie."""
    from rich.console import Console

    from foveate.report import class_count, headline, legend, read_study, rows_of, terminal_tables
    from foveate.report.starts import terminal_starts

    console: Any = Console(highlight=False)
    study = read_study(page.parent)
    for part in terminal_starts(study):
        console.print(part, markup=False)
    rows = rows_of(study)
    for table in terminal_tables(rows, wide=console.width > 110):
        console.print(table)
    for line in (*legend(study), headline(rows, class_count(study))):
        console.print(line, markup=False)
    typer.echo(f"table:  {page.parent / 'results.csv'}")
    typer.echo(f"report: {page}")

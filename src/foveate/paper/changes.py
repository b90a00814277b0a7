"""Table 3: CIFAR-100 and Stanford Dogs, as changes to the plain network paired by seed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from foveate.paper.accuracy import Accuracy, accuracy_of, find_runs
from foveate.paper.counting import Tell, quietly
from foveate.paper.published import Group, PublishedRow, published_table
from foveate.paper.rows import OURS, accuracy_cells, run_notes, with_interval
from foveate.paper.selection import chosen_groups
from foveate.paper.table import NOT_RUN, Cells, Footnotes, PaperTable, Section
from foveate.report import Comparison, compare, holm
from foveate.report.table import p_text


def table3(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 3 beside ours.

    Args:
        runs: A folder with finished runs, None for none.
        only: ``"cifar100"`` or ``"stanforddogs"``; both if there are none.
        tell: Told what is being read, and the share that is done.
    """
    table = published_table("table3")
    groups = chosen_groups(table, only)
    tell("reading runs", 0.0)
    found = find_runs(runs)
    marks = Footnotes()
    cells: list[Cells] = []
    records: list[dict[str, Any]] = []
    accuracies: dict[str, Accuracy | None] = {}
    for group in groups:
        cells.append((group.name,))
        ours = {row.label: accuracy_of(row, group.experiment, found) for row in group.rows}
        accuracies |= {f"{group.name} {label}": one for label, one in ours.items()}
        changes = {row.label: _change(row, group, ours) for row in group.rows}
        corrected = holm({label: one.p for label, one in changes.items() if one})
        for row in group.rows:
            change, p = changes[row.label], corrected.get(row.label)
            cells.append(_cells(row, change, p, ours[row.label], marks))
            records.append(_record(row, group, change, p, ours[row.label]))
    heads = ("network", "printed", "here", "p (Holm)", "here: top-1 %", "seeds")
    return PaperTable(
        name=table.name,
        title=table.title,
        sections=(Section("Change to the plain network, in points", heads, cells),),
        notes=(*table.notes, *run_notes(accuracies, groups, found), *marks.lines()),
        records=tuple(records),
    )


def _plain(row: PublishedRow) -> bool:
    return row.model.attention == "none"


def _change(row: PublishedRow, group: Group, ours: dict[str, Accuracy | None]) -> Comparison | None:
    """The change to the plain network of the same name over the seeds that both have."""
    base = next(r for r in group.rows if _plain(r) and r.model.name == row.model.name)
    with_it, without = ours[row.label], ours[base.label]
    if _plain(row) or with_it is None or without is None:
        return None
    return compare(with_it.scores, without.scores)


def _cells(
    row: PublishedRow,
    change: Comparison | None,
    p: float | None,
    ours: Accuracy | None,
    marks: Footnotes,
) -> Cells:
    silent = _plain(row) or row.ours
    printed = OURS if silent else marks.cell(row.paper.get("change"))
    here = with_interval(change.difference, sign=True) if change else NOT_RUN
    tested = p_text(p) if p is not None else ""
    return (
        row.label,
        printed,
        "" if _plain(row) else here,
        tested,
        *accuracy_cells(ours, top5=False),
    )


def _record(
    row: PublishedRow,
    group: Group,
    change: Comparison | None,
    p: float | None,
    ours: Accuracy | None,
) -> dict[str, Any]:
    return {
        "group": group.name,
        "label": row.label,
        "network": row.model.name,
        "attention": row.model.attention,
        "ours": row.ours,
        "paper": {key: figure.record() for key, figure in row.paper.items()},
        "change": {**asdict(change), "p_holm": p} if change else NOT_RUN,
        "accuracy": ours.record() if ours else NOT_RUN,
    }

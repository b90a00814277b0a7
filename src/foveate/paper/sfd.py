"""The published sfd scores, which nothing here computes yet."""

from __future__ import annotations

from pathlib import Path

from foveate.paper.counting import Tell, quietly
from foveate.paper.published import published_table
from foveate.paper.selection import chosen_groups
from foveate.paper.table import NOT_RUN, Footnotes, PaperTable, Section


def sfd(runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly) -> PaperTable:
    """The published scores beside ours, which are not run.

    Args:
        runs: Not looked at: runs hold no such score yet.
        only: Must be empty: the table has one group of rows.
        tell: Not told anything: there is nothing to wait for.
    """
    table = published_table("sfd")
    marks = Footnotes()
    rows = [row for group in chosen_groups(table, only) for row in group.rows]
    cells = [
        (row.label, marks.cell(row.paper.get("sfd")), "unknown", NOT_RUN, NOT_RUN) for row in rows
    ]
    heads = ("network", "printed", "printed: chance", "here", "here: chance")
    return PaperTable(
        name=table.name,
        title=table.title,
        sections=(Section("Mean over images, 0 to 1", heads, cells),),
        notes=(*table.notes, *marks.lines()),
        records=tuple(
            {
                "label": row.label,
                "paper": {key: figure.record() for key, figure in row.paper.items()},
                "score": NOT_RUN,
            }
            for row in rows
        ),
    )

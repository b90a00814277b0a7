"""What an explain folder came to, for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foveate.core import require
from foveate.report import explained_table as tables
from foveate.report import explained_wording as wording
from foveate.report.explained import read_explained


def terminal_explanation(folder: str | Path) -> list[Any]:
    """The headline, what has to be read beside it, and the scores, as text and rich tables.

    Args:
        folder: A folder of ``foveate explain``.

    Raises:
        FileNotFoundError: If there is no ``explain.json``.
        ValueError: If it is damaged.
        ImportError: If rich is missing.
    """
    record = read_explained(folder)
    made: list[Any] = [" ".join([wording.headline(record), *wording.remarks(record)])]
    shown = [tables.scores_table(record)] if record.names else []
    shown += [tables.gaps_table(record)] if record.names and record.others else []
    made += [_rich(table) for table in shown]
    left = len(record.tree.get("left_out") or ())
    told = f"{left} image" if left == 1 else f"{left} images"
    made += [f"{told} could not be read; the report names what was left out."] if left else []
    return made


def _rich(table: tables.Table) -> Any:
    rich = require("rich.table", "train", "the terminal table")
    simple = require("rich.box", "train", "the terminal table").SIMPLE_HEAD
    one = rich.Table(title=table.caption, title_justify="left", title_style="", box=simple)
    for head in table.heads:
        one.add_column(head)
    for row in table.rows:
        one.add_row(*row)
    return one

"""A table of the paper as it is shown: sections of cells, as text, Markdown or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from foveate.core import check_choice, require
from foveate.paper.published import TAGS, UNKNOWN, Figure

FORMATS = ("text", "md", "json")
NOT_RUN = "not run"
Cells = tuple[str, ...]
MINUS = "\N{MINUS SIGN}"
# Columns whose cells are no longer are never broken.
_SHORT = 30


@dataclass(frozen=True)
class Section:
    """One table of cells.

    Attributes:
        title: What it shows.
        heads: Its columns; a line break in one counts in text alone.
        rows: Its cells; a row of one cell is a heading.
        words: Columns of words, the others are of numbers.
    """

    title: str
    heads: Cells
    rows: Sequence[Cells]
    words: tuple[int, ...] = (0,)


@dataclass
class Footnotes:
    """Where figures are from, numbered in the order of their first use."""

    seen: dict[tuple[str, str], str] = field(default_factory=dict)

    def cell(self, figure: Figure | None) -> str:
        """A figure with its tag; what is not there is unknown.

        Example:
            >>> Footnotes().cell(Figure("26.77", "F", "ECA paper", "Mi"))
            '26.77 Mi [F1]'
        """
        if figure is None:
            return UNKNOWN
        unit = f" {figure.unit}" if figure.unit else ""
        shown = re.sub(r"(?<=\d)-(?=\d)", "\N{EN DASH}", figure.text).replace("-", MINUS)
        return f"{shown}{unit} [{self.mark(figure)}]"

    def mark(self, figure: Figure) -> str:
        """The tag of a figure, with the number of its source if it has one."""
        if not figure.source:
            self.seen.setdefault((figure.tag, ""), figure.tag)
            return figure.tag
        key = (figure.tag, figure.source)
        if key not in self.seen:
            count = sum(1 for tag, source in self.seen if tag == figure.tag and source)
            self.seen[key] = f"{figure.tag}{count + 1}"
        return self.seen[key]

    def lines(self) -> list[str]:
        """What every tag that was used means."""
        return [
            f"[{mark}] {TAGS[tag]}{f': {source}' if source else ''}"
            for (tag, source), mark in sorted(self.seen.items(), key=lambda item: item[1])
        ]


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper beside ours.

    Attributes:
        name: ``"table1"`` and so on.
        title: Its title.
        sections: What is shown.
        notes: Below it: what must be known to read it, and where figures are from.
        records: The same as data, one entry per row.
    """

    name: str
    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    records: tuple[dict[str, Any], ...]

    def render(self, form: str = "text", width: int = 80) -> str:
        """The table as ``"text"`` of at most ``width`` columns, as ``"md"`` or as ``"json"``.

        Raises:
            ValueError: If the format is none of these.
        """
        check_choice("paper", "--format", form, FORMATS)
        if form == "json":
            tree = {
                "table": self.name,
                "title": self.title,
                "rows": self.records,
                "shown": [asdict(section) for section in self.sections],
                "notes": self.notes,
            }
            return json.dumps(tree, indent=2, ensure_ascii=False)
        return markdown(self) if form == "md" else text(self, width)


def markdown(table: PaperTable) -> str:
    """A table as Markdown under a heading of the second level."""
    parts = [f"## {table.title}"]
    for section in table.sections:
        heads = tuple(head.replace("\n", " ") for head in section.heads)
        lines = [_line(heads), _line(_rules(section))]
        for row in section.rows:
            cells = (f"**{row[0]}**",) if len(row) == 1 else row
            lines.append(_line((*cells, *[""] * (len(heads) - len(cells)))))
        parts += [f"**{section.title}**", "\n".join(lines)]
    if table.notes:
        parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts)


def _rules(section: Section) -> Cells:
    return tuple(
        "---" if number in section.words else "---:" for number in range(len(section.heads))
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def text(table: PaperTable, width: int = 80) -> str:
    """A table as plain text of at most ``width`` columns.

    Raises:
        ImportError: If rich is missing.
    """
    rich: Any = require("rich.table", "train", "the table")
    box: Any = require("rich.box", "train", "the table").SIMPLE_HEAD
    console: Any = require("rich.console", "train", "the table").Console
    out = console(
        width=width, highlight=False, markup=False, force_terminal=False, color_system=None
    )
    with out.capture() as capture:
        out.print(table.title)
        for section in table.sections:
            columns = [_column(section, number) for number in range(len(section.heads))]
            room = 1 if sum(map(_wide, columns)) + 2 * len(columns) <= width else 0
            grid = rich.Table(
                title=section.title, title_justify="left", box=box, padding=(0, room, 0, 0)
            )
            for number, column in enumerate(columns):
                grid.add_column(
                    section.heads[number],
                    justify="left" if number in section.words else "right",
                    no_wrap=_wide(column) <= _SHORT,
                )
            for row in section.rows:
                if len(row) == 1:
                    grid.add_section()
                grid.add_row(*row)
            out.print(grid)
        out.print()
        for note in table.notes:
            out.print(note)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join(lines)


def _column(section: Section, number: int) -> list[str]:
    """Everything in a column, line by line; headings among the rows reach over all columns."""
    cells = [row[number] for row in section.rows if len(row) > max(number, 1)]
    return [*section.heads[number].split("\n"), *cells]


def _wide(column: list[str]) -> int:
    return max(map(len, column))

"""The little of Markdown that pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

MARK = "<!-- Made by docs/build.py; changes made by hand are lost. -->"
_NO_BRACKETS = str.maketrans("[]", "()")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column is words, the others too if any cell holds a sentence.

    A bar inside a cell is escaped, for it would end the cell.
    """
    numbers = all(len(cell) <= 48 for row in rows for cell in row[1:])
    rule = ["---"] + ["---:" if numbers else "---"] * (len(heads) - 1)
    lines = [_line(heads), "|" + "|".join(rule) + "|"]
    return "\n".join([*lines, *map(_line, rows)])


def bullets(lines: Sequence[str]) -> str:
    """A list, a line each."""
    return "\n".join(f"- {line}" for line in lines)


def picture(alt: str, place: str) -> str:
    """A picture with its description, whatever characters that has."""
    return f"![{escape(alt).translate(_NO_BRACKETS)}]({place})"


def folded(title: str, parts: Sequence[str]) -> str:
    """Paragraphs that show when their title is opened."""
    inside = "\n\n".join(parts)
    return f"<details><summary>{title}</summary>\n\n{inside}\n</details>"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

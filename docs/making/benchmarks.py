"""A page for each file of benchmarks/results."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"


@functools.cache
def pages() -> dict[str, str]:
    """The pages by name."""
    return {f"benchmarks/{path.stem}.md": _page(path) for path in sorted(FOLDER.glob("*.json"))}


def _page(path: Path) -> str:
    from foveate.bench import is_result

    tree = json.loads(path.read_text(encoding="utf-8"))
    lines = [f"# {_title(path, tree)}", ""]
    lines += _measured(path) if is_result(path) else _plain(tree)
    link = f"[{path.name}](../../benchmarks/results/{path.name})"
    return "\n".join([*lines, f"All numbers: {link}.", ""])


def _title(path: Path, tree: Mapping[str, Any]) -> str:
    if "suites" in tree:
        return f"{', '.join(tree['suites'])}: {tree['conditions']['processor']}"
    return path.stem.replace("_", " ").replace("-", " ").capitalize()


def _measured(path: Path) -> list[str]:
    """Every table that ``foveate bench`` prints of a result."""
    from foveate.bench import read_result
    from foveate.bench.tables import tables
    from foveate.bench.wording import closing_lines

    result = read_result(path)
    lines = []
    for title, table in tables(result, wide=True):
        lines += [f"## {title.removesuffix(', x = ')}", "", *_markdown(table), ""]
    lines += ["## Goals and conditions", "", *(f"- {line}" for line in closing_lines(result)), ""]
    return lines


def _markdown(table: Any) -> list[str]:
    """A rich table as Markdown."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    heads = [str(column.header) for column in table.columns]
    rows = list(zip(*columns, strict=True))
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from foveate.report.markdown import table

    return table(heads, [[cell.replace("\n", "<br>") for cell in row] for row in rows]).split("\n")


def _plain(tree: Mapping[str, Any]) -> list[str]:
    """A file of rows, or of names with their facts, and the conditions that it states."""
    lines, said = [], []
    for key, value in tree.items():
        rows = value if isinstance(value, list) else None
        if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
            rows = [{"name": name} | facts for name, facts in value.items()]
        if rows and all(isinstance(row, dict) for row in rows):
            heads = list(dict.fromkeys(head for row in rows for head in row))
            cells = [[_words(row.get(head)) for head in heads] for row in rows]
            title = key.replace("_", " ").capitalize()
            lines += [f"## {title} ({len(rows)})", "", *_table(_spaced(heads), cells), ""]
        elif value not in (None, "", [], {}):
            said.append(f"- **{key.replace('_', ' ')}**: {_words(value)}")
    return [*lines, "## Conditions", "", *said, ""]


def _spaced(heads: Sequence[str]) -> list[str]:
    return [head.replace("_", " ") for head in heads]


def _words(value: Any) -> str:
    """A value of a result file in a cell."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items() if part)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_words(part) for part in value) or "-"
    return str(value)

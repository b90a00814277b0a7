"""What the terminal shows: a table per suite, dtype, mode and batch; means; goals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from foveate.bench.contest import BOTH, FORWARD, MODES
from foveate.bench.goals import quantity_of, ratio
from foveate.bench.result import OK, Result, Row
from foveate.bench.scaling import growth
from foveate.bench.statistics import geometric_mean
from foveate.bench.wording import closing_lines
from foveate.core import require

WIDE = 110
# Suites where a row is slower or faster than the baseline, and those where it costs more.
SPEED = ("gate", "op")
ABSENT = "-"


def show(result: Result, console: Any) -> None:
    """Print the tables of a result, its goals and its conditions on a rich console."""
    for title, table in tables(result, wide=console.width >= WIDE):
        console.print(title, style="bold", highlight=False, markup=False)
        console.print(table)
    for line in closing_lines(result):
        console.print(line, highlight=False, markup=False)


def tables(result: Result, wide: bool = False) -> Iterator[tuple[str, Any]]:
    """Titles and rich tables.

    Args:
        result: What was measured.
        wide: Whether there is room for medians and quartiles beside the headline.
    """
    for suite in result.suites:
        mine = [row for row in result.rows if row.suite == suite]
        if suite == "memory":
            yield from _memory_tables(mine)
        elif suite == "scaling":
            yield from _scaling_tables(mine, result) if mine else ()
        else:
            for dtype in dict.fromkeys(row.dtype for row in mine):
                for mode in MODES:
                    for batch in dict.fromkeys(row.shape[0] for row in mine):
                        chosen = [
                            row
                            for row in mine
                            if (row.dtype, row.mode, row.shape[0]) == (dtype, mode, batch)
                        ]
                        if chosen:
                            make = _variants_table if suite in SPEED else _names_table
                            yield make(chosen, result, wide)


def _head(rows: Sequence[Row], result: Result, wide: bool) -> str:
    """The beginning of a title; with room, it says what stands beside the headline."""
    one, statistic = rows[0], result.conditions.statistic
    beside = {"minimum": " [median\N{PLUS-MINUS SIGN}iqr]", "median": "\N{PLUS-MINUS SIGN}iqr"}
    return (
        f"{one.suite} {one.mode} {one.dtype} N={one.shape[0]},"
        f" {statistic}{beside[statistic] if wide else ''} ms, x = "
    )


def _variants_table(rows: Sequence[Row], result: Result, wide: bool) -> tuple[str, Any]:
    """One line per map, one column per variant, with its speed-up."""
    quantity, base = quantity_of(result.conditions.statistic), rows[0].baseline
    variants = list(dict.fromkeys(row.variant for row in rows))
    roofed = any(row.roof_ratio for row in rows)
    table = _table("map", *(_column_title(rows, one) for one in variants), *["/ roof"] * roofed)
    speedups: dict[str, list[float]] = {one: [] for one in variants}
    for case in dict.fromkeys(row.case for row in rows):
        cells = [case.split("x", 1)[1]]
        for variant in variants:
            mine = [row for row in rows if row.case == case and row.variant == variant]
            gain = ratio(rows, case, base, variant, quantity)
            if gain:
                speedups[variant].append(gain)
            cells.append(_cell(mine, quantity, gain if variant != base else None, wide))
        if roofed:
            roofs = [r.roof_ratio for r in rows if r.case == case and r.variant == "foveate"]
            cells.append(f"{min(filter(None, roofs)):.1f}x" if any(roofs) else ABSENT)
        table.add_row(*cells)
    means = [f"{geometric_mean(speedups[v]):.2f}x" if speedups[v] else ABSENT for v in variants]
    table.add_section()
    table.add_row("geometric\nmean", *means, *[""] * roofed)
    return f"{_head(rows, result, wide)}speed-up over {base}", table


def _column_title(rows: Sequence[Row], variant: str) -> str:
    """The variant, with its own dtype where that is not the table's."""
    one = next(row for row in rows if row.variant == variant)
    return variant if one.computed_in == one.dtype else f"{variant} ({one.computed_in})"


def _names_table(rows: Sequence[Row], result: Result, wide: bool) -> tuple[str, Any]:
    """One line per name, one column per map or network, with its cost by the baseline's."""
    quantity, base = quantity_of(result.conditions.statistic), rows[0].baseline
    cases = list(dict.fromkeys(row.case for row in rows))
    table = _table("name", *(case.removeprefix("1x") for case in cases))
    for name in dict.fromkeys(row.variant for row in rows):
        cells = [name]
        for case in cases:
            mine = [row for row in rows if row.case == case and row.variant == name]
            cost = ratio(rows, case, name, base, quantity)
            cells.append(_cell(mine, quantity, cost if name != base else None, wide))
        table.add_row(*cells)
    return f"{_head(rows, result, wide)}time over that of {base}", table


def _memory_tables(rows: Sequence[Row]) -> Iterator[tuple[str, Any]]:
    for mode in MODES:
        mine = [row for row in rows if row.mode == mode]
        if not mine:
            continue
        variants = list(dict.fromkeys(row.variant for row in mine))
        table = _table("map", *variants)
        for case in dict.fromkeys(row.case for row in mine):
            cells = [case]
            for variant in variants:
                part = ratio(mine, case, variant, mine[0].baseline, "memory_mib")
                here = [row for row in mine if row.case == case and row.variant == variant]
                shown = part if variant != mine[0].baseline else None
                cells.append(_cell(here, "memory_mib", shown, False))
            table.add_row(*cells)
        yield f"memory, {mode}: MiB at the peak, x = over {mine[0].baseline}", table


def _scaling_tables(rows: Sequence[Row], result: Result) -> Iterator[tuple[str, Any]]:
    """A table each for forward, step and memory; one line per size, exponents below."""
    channels = rows[0].shape[1]
    for title, mode, quantity in scaling_quantities(result):
        mine = [row for row in rows if row.mode == mode]
        variants = list(dict.fromkeys(row.variant for row in mine if getattr(row, quantity)))
        if not variants:
            continue
        table = _table("map", *variants)
        for case in dict.fromkeys(row.case for row in mine):
            here = [row for row in mine if row.case == case]
            if any(getattr(row, quantity) for row in here):
                cells = [[row for row in here if row.variant == variant] for variant in variants]
                shown = (_cell(cell, quantity, None, False) for cell in cells)
                table.add_row(case.split("x", 2)[2], *shown)
        laws = [growth(mine, variant, mode, quantity) for variant in variants]
        table.add_section()
        table.add_row("exponent", *(f"{law.exponent:.2f}" if law else ABSENT for law in laws))
        yield f"scaling with the pixels, C = {channels}: {title}", table


def scaling_quantities(result: Result) -> list[tuple[str, str, str]]:
    """Title, mode and field of what the scaling suite measures."""
    quantity = quantity_of(result.conditions.statistic)
    return [
        ("forward, ms", FORWARD, quantity),
        ("forward+backward, ms", BOTH, quantity),
        ("forward+backward, MiB at the peak", BOTH, "memory_mib"),
    ]


def _cell(rows: Sequence[Row], quantity: str, times: float | None, wide: bool) -> str:
    """The best of the repetitions and a ratio; or what became of the row."""
    values = [value for row in rows if (value := getattr(row, quantity)) is not None]
    if not values:
        failed = any(row.status.startswith("failed") for row in rows)
        missing = any(row.status != OK for row in rows)
        return "failed" if failed else "not run" if missing else ABSENT
    text = number(min(values))
    if wide and quantity != "memory_mib":
        median = min(row.median_ms for row in rows if row.median_ms is not None)
        spread = f"\N{PLUS-MINUS SIGN}{max(row.iqr_ms or 0 for row in rows):.2g}"
        text += f" {spread}" if quantity == "median_ms" else f" [{number(median)}{spread}]"
    if times is None:
        return text
    return f"{text} {times:.2f}x" if times >= 0.1 else f"{text} {times:.2g}x"


def number(value: float) -> str:
    """A measured number with three digits.

    Example:
        >>> number(0.1234), number(27.75), number(1234.5)
        ('0.123', '27.8', '1234')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(*titles: str) -> Any:
    rich = require("rich.table", "train", "the terminal table")
    box = require("rich.box", "train", "the terminal table").SIMPLE_HEAD
    table = rich.Table(box=box, padding=(0, 1, 0, 0))
    for place, title in enumerate(titles):
        title = title.replace("-", "-\n")  # Two short lines leave room for more variants.
        table.add_column(title, justify="right" if place else "left", no_wrap=not place)
    return table

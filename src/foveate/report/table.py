"""One table of results, for the terminal, the CSV file and the HTML page alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foveate.core import require
from foveate.report.metric import CLASSIFICATION, Metric
from foveate.report.reading import NONE
from foveate.report.rows import Row
from foveate.report.statistics import LEVEL, Comparison, Estimate
from foveate.report.unit import PERCENT, Unit

ABSENT = "-"
Value = int | float | str | None


@dataclass(frozen=True)
class Column:
    """A column: its title, what it says, and which table it belongs to.

    Attributes:
        title: Heading.
        text: The cell of a row.
        table: A table of :func:`columns`, or ``"all"``.
        words: True for words (left), False for numbers (right).
        wide: True if a narrow terminal leaves it out.
    """

    title: str
    text: Callable[[Row], str]
    table: str
    words: bool = False
    wide: bool = False


def _against_wider(row: Row) -> str:
    against, p = row.against_wider, row.p_wider
    if against is None:
        return ABSENT
    if p is None:
        return f"not tested: {against.why_untested}"
    if p >= LEVEL:
        return "not significantly different from wider"
    better = row.metric.is_better(against.difference.mean)
    return "better than wider" if better else "worse than wider"


def csv_text(rows: list[Row]) -> str:
    """All numbers of the table as CSV, accuracies as fractions, unrounded."""
    out = io.StringIO()
    records = [_record(row) for row in rows]
    writer = csv.DictWriter(out, fieldnames=list(records[0]) if records else ["label"])
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def _record(row: Row) -> dict[str, Value]:
    record: dict[str, Value] = {"label": row.label, "runs": row.runs, "runs_wanted": row.wanted}
    for key in ("params", "macs", "params_published", "macs_published"):
        record[key] = row.costs.get(key)
    for key in ("forward", "step"):
        for part in ("ms", "ratio", "ratio_low", "ratio_high"):
            record[f"{key}_{part}"] = row.costs.get(f"{key}_{part}")
    record["width"] = row.costs.get("width")
    for key, score in _scores(row):
        record[f"{key}_mean"] = score.mean if score else None
        record[f"{key}_half_width"] = score.half_width if score else None
    for name, against, p in (
        ("none", row.against_none, row.p_none),
        ("wider", row.against_wider, row.p_wider),
    ):
        gap = against.difference if against else None
        record[f"difference_{name}"] = gap.mean if gap else None
        record[f"difference_{name}_low"] = gap.low if gap else None
        record[f"difference_{name}_high"] = gap.high if gap else None
        record[f"p_{name}"] = against.p if against else None
        record[f"p_{name}_holm"] = p
    record["verdict"] = row.verdict
    return record


def _scores(row: Row) -> list[tuple[str, Estimate | None]]:
    """The score of a row and the further ones, by key."""
    further = [(key, row.further.get(key)) for key, _ in row.metric.further]
    return [(row.metric.key, row.score), *further]


def points(value: float, sign: bool = False) -> str:
    """A fraction in percentage points with two digits, with a true minus sign."""
    return PERCENT.of(value, sign)


def _count(row: Row, key: str, unit: float, digits: int) -> str:
    value = row.costs.get(key)
    return f"{value / unit:.{digits}f}" if isinstance(value, (int, float)) else ABSENT


def _params(row: Row) -> str:
    return _count(row, "params", 1e6, 2)


def _macs(row: Row) -> str:
    return _count(row, "macs", 1e9, 3)


def _published(row: Row) -> str:
    params, macs = _count(row, "params_published", 1e6, 2), _count(row, "macs_published", 1e9, 3)
    return ABSENT if params == macs == ABSENT else f"{params} / {macs}"


def _ratio(key: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = row.costs.get(f"{key}_ratio")
        low, high = row.costs.get(f"{key}_ratio_low"), row.costs.get(f"{key}_ratio_high")
        if not isinstance(value, (int, float)):
            return ABSENT
        if row.label == NONE or low is None or high is None:
            return f"{value:.2f}"
        return f"{value:.2f} ({low:.2f}..{high:.2f})"

    return text


def score_text(score: Estimate | None, unit: Unit = PERCENT) -> str:
    """A mean score in its unit with the half width of its interval."""
    if score is None:
        return ABSENT
    half, mean = score.half_width, unit.of(score.mean)
    return mean if half is None else f"{mean} \N{PLUS-MINUS SIGN} {unit.of(half)}"


def gap_text(against: Comparison | None, unit: Unit = PERCENT) -> str:
    """A mean difference in its unit with the ends of its interval."""
    if against is None:
        return ABSENT
    gap = against.difference
    mean = unit.of(gap.mean, sign=True)
    if gap.low is None or gap.high is None:
        return mean
    return f"{mean} [{unit.of(gap.low, sign=True)}, {unit.of(gap.high, sign=True)}]"


def p_text(value: float | None) -> str:
    """A p-value with three digits."""
    if value is None:
        return ABSENT
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _runs(row: Row) -> str:
    return f"{row.runs}" if row.runs == row.wanted else f"{row.runs} of {row.wanted}"


def columns(table: str, metric: Metric = CLASSIFICATION) -> list[Column]:
    """The columns of a table of a study.

    Args:
        table: ``"accuracy"`` (the score and its tests), ``"control"``, ``"further"`` (further
            scores), ``"gaps"`` (their differences to none) or ``"cost"``.
        metric: What the study compares.
    """
    return [column for column in _columns(metric) if column.table in (table, "all")]


def _columns(metric: Metric) -> list[Column]:
    unit, units = metric.unit, {key: metric.unit_of(key) for key, _ in metric.further}
    gaps = {key: "" if one == PERCENT else f", {one.gaps}" for key, one in units.items()}
    return [
        Column("attention", lambda row: row.name, "all", words=True),
        Column("runs", _runs, "accuracy"),
        Column(f"{metric.title} {unit.name}", lambda row: score_text(row.score, unit), "accuracy"),
        Column(f"to none, {unit.gaps}", lambda row: gap_text(row.against_none, unit), "accuracy"),
        Column("p (Holm)", lambda row: p_text(row.p_none), "accuracy"),
        Column("verdict", lambda row: row.verdict, "accuracy", words=True, wide=True),
        Column(f"to wider, {unit.gaps}", lambda row: gap_text(row.against_wider, unit), "control"),
        Column("p (Holm)", lambda row: p_text(row.p_wider), "control"),
        Column("verdict", lambda row: _against_wider(row), "control", words=True),
        *(
            Column(f"{title} {units[key].name}", _further(key, units[key]), "further")
            for key, title in metric.further
        ),
        *(
            Column(f"{title}{gaps[key]}", _further_gap(key, units[key]), "gaps")
            for key, title in metric.further
        ),
        Column("params, M", _params, "cost"),
        Column("MACs, G", _macs, "cost"),
        Column("published convention, M / G", _published, "cost", wide=True),
        Column("forward, x none", _ratio("forward"), "cost"),
        Column("step, x none", _ratio("step"), "cost"),
    ]


def _further(key: str, unit: Unit) -> Callable[[Row], str]:
    return lambda row: score_text(row.further.get(key), unit)


def _further_gap(key: str, unit: Unit) -> Callable[[Row], str]:
    return lambda row: gap_text(row.further_gaps.get(key), unit)


def terminal_tables(rows: list[Row], wide: bool = False) -> list[Any]:
    """The tables as rich renderables.

    Args:
        rows: What ``rows_of`` returned.
        wide: Whether there is room for all columns, some 110; else verdicts are left out.
    """
    rich = require("rich.table", "train", "the terminal table")
    simple = require("rich.box", "train", "the terminal table").SIMPLE_HEAD
    made = []
    metric = rows[0].metric if rows else CLASSIFICATION
    cost = f"Cost: one {metric.item}; forward pass and training step as ratios to none"
    score = f"{metric.heading}: validation {metric.title}, 95 % intervals, paired by seed"
    for table, title, shown in (
        ("accuracy", score, rows),
        ("further", metric.further_title, rows if metric.further else []),
        (
            "control",
            "Against a plain network with as many parameters",
            [row for row in rows if row.against_wider],
        ),
        ("cost", cost, rows),
    ):
        if not shown:
            continue
        one = rich.Table(
            title=title, title_justify="left", title_style="bold", box=simple, padding=(0, 1, 0, 0)
        )
        wanted = [column for column in columns(table, metric) if wide or not column.wide]
        for place, column in enumerate(wanted):
            justify = "left" if column.words else "right"
            one.add_column(column.title, justify=justify, no_wrap=not column.words or not place)
        for row in shown:
            one.add_row(*(column.text(row) for column in wanted))
        made.append(one)
    return made

"""One table of results, for the terminal, the CSV file and the HTML page alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foveate.core import require
from foveate.report.reading import NONE, WIDER, StudyRecord
from foveate.report.statistics import Comparison, Estimate, compare, estimate, holm

BETTER, WORSE = "better than none", "worse than none"
SAME = "not significantly different from none"
LEVEL = 0.05
ABSENT = "-"
Value = int | float | str | None


@dataclass(frozen=True)
class Row:
    """One variant of a study; accuracies are fractions.

    Attributes:
        label: The variant.
        runs: Finished runs.
        wanted: Runs the study asks for.
        costs: Its entry of ``costs.json``.
        top1: Mean over the finished runs, or None.
        against_none: Difference to the plain network, paired by seed.
        p_none: Its p-value after Holm's correction over all variants compared.
        against_wider: Difference of an attention to the parameter-matched plain network.
        p_wider: Its p-value after Holm's correction.
        verdict: The outcome in words.
    """

    label: str
    runs: int
    wanted: int
    costs: dict[str, Any]
    top1: Estimate | None
    against_none: Comparison | None
    p_none: float | None
    against_wider: Comparison | None
    p_wider: float | None
    verdict: str

    @property
    def name(self) -> str:
        """The label with what it means where that is not plain."""
        if self.label == WIDER:
            width = self.costs.get("width")
            return f"{WIDER} (width {width:.2f})" if isinstance(width, float) else WIDER
        return self.label


@dataclass(frozen=True)
class Column:
    """A column: its title, what it says, and which table it belongs to.

    Attributes:
        title: Heading.
        text: The cell of a row.
        table: ``"accuracy"``, ``"control"``, ``"cost"`` or ``"all"``.
        words: True for words (left), False for numbers (right).
        wide: True if a narrow terminal leaves it out.
    """

    title: str
    text: Callable[[Row], str]
    table: str
    words: bool = False
    wide: bool = False


def rows_of(study: StudyRecord) -> list[Row]:
    """Results of every variant of a study, in the order of the study."""
    scores = {label: study.scores(label) for label in study.labels}
    none, wider = scores.get(NONE, {}), scores.get(WIDER, {})
    to_none = {label: compare(scores[label], none) for label in study.labels if label != NONE}
    to_wider = {
        label: compare(scores[label], wider) for label in study.labels if label not in (NONE, WIDER)
    }
    p_none = holm({label: c.p for label, c in to_none.items() if c})
    p_wider = holm({label: c.p for label, c in to_wider.items() if c})
    rows = []
    for label in study.labels:
        values = list(scores[label].values())
        costs = dict(study.costs.get(label, {}))
        if not values and "params" not in costs and label == WIDER:
            continue  # No such network exists for this family; the limits say why.
        against = to_none.get(label)
        rows.append(
            Row(
                label=label,
                runs=len(values),
                wanted=len(study.seeds),
                costs=costs,
                top1=estimate(values) if values else None,
                against_none=against,
                p_none=p_none.get(label),
                against_wider=to_wider.get(label),
                p_wider=p_wider.get(label),
                verdict=_verdict(label, len(values), against, p_none.get(label)),
            )
        )
    return rows


def _verdict(label: str, runs: int, against: Comparison | None, p: float | None) -> str:
    if runs == 0:
        return "not run"
    if label == NONE:
        return "the plain network"
    if against is None:
        return "not comparable: no run of none with the same seed"
    if p is None:
        return f"not tested: {against.why_untested}"
    if p >= LEVEL:
        return SAME
    return BETTER if against.difference.mean > 0 else WORSE


def _against_wider(row: Row) -> str:
    against, p = row.against_wider, row.p_wider
    if against is None:
        return ABSENT
    if p is None:
        return f"not tested: {against.why_untested}"
    if p >= LEVEL:
        return "not significantly different from wider"
    return "better than wider" if against.difference.mean > 0 else "worse than wider"


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
    record["top1_mean"] = row.top1.mean if row.top1 else None
    record["top1_half_width"] = row.top1.half_width if row.top1 else None
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


def points(value: float, sign: bool = False) -> str:
    """A fraction in percentage points with two digits, with a true minus sign."""
    text = f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
    return text.replace("-", "\N{MINUS SIGN}")


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


def top1_text(top1: Estimate | None) -> str:
    """A mean accuracy in percent with the half width of its interval."""
    if top1 is None:
        return ABSENT
    half, mean = top1.half_width, points(top1.mean)
    return mean if half is None else f"{mean} \N{PLUS-MINUS SIGN} {points(half)}"


def gap_text(against: Comparison | None) -> str:
    """A mean difference in points with the ends of its interval."""
    if against is None:
        return ABSENT
    gap = against.difference
    mean = points(gap.mean, sign=True)
    if gap.low is None or gap.high is None:
        return mean
    return f"{mean} [{points(gap.low, sign=True)}, {points(gap.high, sign=True)}]"


def p_text(value: float | None) -> str:
    """A p-value with three digits."""
    if value is None:
        return ABSENT
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _runs(row: Row) -> str:
    return f"{row.runs}" if row.runs == row.wanted else f"{row.runs} of {row.wanted}"


COLUMNS = [
    Column("attention", lambda row: row.name, "all", words=True),
    Column("runs", _runs, "accuracy"),
    Column("top-1 %", lambda row: top1_text(row.top1), "accuracy"),
    Column("to none, points", lambda row: gap_text(row.against_none), "accuracy"),
    Column("p (Holm)", lambda row: p_text(row.p_none), "accuracy"),
    Column("verdict", lambda row: row.verdict, "accuracy", words=True, wide=True),
    Column("to wider, points", lambda row: gap_text(row.against_wider), "control"),
    Column("p (Holm)", lambda row: p_text(row.p_wider), "control"),
    Column("verdict", lambda row: _against_wider(row), "control", words=True),
    Column("params, M", _params, "cost"),
    Column("MACs, G", _macs, "cost"),
    Column("published convention, M / G", _published, "cost", wide=True),
    Column("forward, x none", _ratio("forward"), "cost"),
    Column("step, x none", _ratio("step"), "cost"),
]


def columns(table: str) -> list[Column]:
    """The columns of the ``"accuracy"``, the ``"control"`` or the ``"cost"`` table."""
    return [column for column in COLUMNS if column.table in (table, "all")]


def terminal_tables(rows: list[Row], wide: bool = False) -> list[Any]:
    """The tables as rich renderables.

    Args:
        rows: What ``rows_of`` returned.
        wide: Whether there is room for all columns, some 110; else verdicts are left out.
    """
    rich = require("rich.table", "train", "the terminal table")
    simple = require("rich.box", "train", "the terminal table").SIMPLE_HEAD
    made = []
    for table, title, shown in (
        ("accuracy", "Accuracy: validation top-1, 95 % intervals, paired by seed", rows),
        (
            "control",
            "Against a plain network with as many parameters",
            [row for row in rows if row.against_wider],
        ),
        ("cost", "Cost: one image; forward pass and training step as ratios to none", rows),
    ):
        if not shown:
            continue
        one = rich.Table(
            title=title, title_justify="left", title_style="bold", box=simple, padding=(0, 1, 0, 0)
        )
        wanted = [column for column in columns(table) if wide or not column.wide]
        for column in wanted:
            justify = "left" if column.words else "right"
            one.add_column(
                column.title, justify=justify, no_wrap=not column.words or column is COLUMNS[0]
            )
        for row in shown:
            one.add_row(*(column.text(row) for column in wanted))
        made.append(one)
    return made

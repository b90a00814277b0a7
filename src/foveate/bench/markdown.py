"""The README's tables, rendered from result files."""

from __future__ import annotations

from collections.abc import Sequence

from foveate.bench.cases import EIGHT, ONE
from foveate.bench.contest import BOTH, FORWARD, MODES
from foveate.bench.goals import disturbed, quantity_of, ratio
from foveate.bench.result import Result, Row
from foveate.bench.scaling import growth
from foveate.bench.statistics import PowerLaw, geometric_mean
from foveate.bench.tables import number, scaling_quantities
from foveate.bench.wording import conditions_line, goal_lines

NOT_RUN = "Not run."
ABSENT = "-"
BASE, OURS, FLOOR = "torchvision", "foveate", "conv"


def performance(results: Sequence[Result]) -> str:
    """Speed-ups per map, their means, the distance to the floor, and every goal.

    Returns:
        One part per result that holds the gate suite; "Not run." if there is none.
    """
    parts = [_performance(one) for one in results if "gate" in one.suites]
    return "\n\n".join(parts) or NOT_RUN


def scaling(results: Sequence[Result]) -> str:
    """Time and memory against pixels, with fitted exponents.

    Returns:
        One part per result that holds the scaling suite; "Not run." if there is none.
    """
    parts = [_scaling(one) for one in results if "scaling" in one.suites]
    return "\n\n".join(parts) or NOT_RUN


def _performance(result: Result) -> str:
    quantity = quantity_of(result.conditions.statistic)
    groups = [
        (f"N = {cases[0].batch}, {mode}", cases, _rows(result, mode))
        for cases in (ONE, EIGHT)
        for mode in MODES
    ]
    columns = {}
    for title, cases, rows in groups:
        found = {c.shape[1:]: ratio(rows, c.name, BASE, OURS, quantity) for c in cases}
        if any(found.values()):
            columns[title] = found
    floors = {
        title: [ratio(rows, case.name, OURS, FLOOR, quantity) for case in cases]
        for title, cases, rows in groups
    }
    table = [_line("map, C x H x W", *columns), _line("---", *["---:"] * len(columns))]
    for case in ONE:
        cells = [_times(found.get(case.shape[1:])) for found in columns.values()]
        table.append(_line("x".join(map(str, case.shape[1:])), *cells))
    means = [_mean(list(found.values())) for found in columns.values()]
    table.append(_line("**geometric mean**", *(f"**{mean}**" for mean in means)))
    gaps = [_mean(floors[title]) for title in columns]
    table.append(_line("time over that of an ordinary convolution", *gaps))
    goals = [f"- {one}" for one in goal_lines(result)]
    return "\n".join(
        [
            "Speed-up of the gate over the same gate on `torchvision.ops.deform_conv2d`; below 1 is"
            " slower.",
            "",
            *table,
            "",
            *goals,
            "",
            _conditions(result),
        ]
    )


def _rows(result: Result, mode: str) -> list[Row]:
    wanted = ("gate", "float32", mode)
    return [row for row in result.rows if (row.suite, row.dtype, row.mode) == wanted]


def _scaling(result: Result) -> str:
    rows = [row for row in result.rows if row.suite == "scaling"]
    variants = list(dict.fromkeys(row.variant for row in rows))
    units = {"min_ms": "ms", "median_ms": "ms", "memory_mib": "MiB"}
    names = {FORWARD: "forward", BOTH: "step"}
    columns = [
        (variant, mode, quantity)
        for _, mode, quantity in scaling_quantities(result)
        for variant in variants
        if any(getattr(row, quantity) for row in rows if row.mode == mode)
    ]
    titles = [f"{variant} {names[mode]}, {units[what]}" for variant, mode, what in columns]
    table = [_line("map", *titles), _line("---", *["---:"] * len(columns))]
    for shape in dict.fromkeys(row.shape for row in rows):
        here = [row for row in rows if row.shape == shape]
        cells = [_least(here, *column) for column in columns]
        table.append(_line(f"{shape[2]} x {shape[3]}", *cells))
    laws = [growth(rows, *column) for column in columns]
    table.append(
        _line("**exponent**", *(f"**{law.exponent:.2f}**" if law else ABSENT for law in laws))
    )
    stopped: dict[str, str] = {}
    for row in rows:
        if row.status.startswith("not run: "):
            reason = row.status.removeprefix("not run: ")
            text = f"{row.variant} stops before {row.shape[2]} x {row.shape[3]}: {reason}."
            stopped.setdefault(row.variant, text)
    notes = " ".join(
        [f"{rows[0].shape[1]} channels, one image.", _range(columns, laws), *stopped.values()]
    )
    return "\n".join(
        [
            *table,
            "",
            notes,
            "",
            _conditions(result),
        ]
    )


def _range(columns: Sequence[tuple[str, str, str]], laws: Sequence[PowerLaw | None]) -> str:
    """Over which sizes the exponents were fitted; variants that stopped early apart."""
    highs: dict[str, float] = {}
    for (variant, _, _), law in zip(columns, laws, strict=True):
        if law:
            highs[variant] = max(law.high, highs.get(variant, 0))
    if not highs:
        return ""
    low, high = min(law.low for law in laws if law), max(highs.values())
    short = [f"{variant} to {end:,.0f}" for variant, end in highs.items() if end < high]
    apart = f" ({', '.join(short)})" if short else ""
    return (
        "Exponents by least squares of the logarithms, cost ~ pixels^exponent, over the measured"
        f" maps from {low:,.0f} to {high:,.0f} pixels{apart}."
    )


def _least(rows: Sequence[Row], variant: str, mode: str, quantity: str) -> str:
    mine = [row for row in rows if (row.variant, row.mode) == (variant, mode)]
    values = [value for row in mine if (value := getattr(row, quantity)) is not None]
    if values:
        return number(min(values))
    return "not run" if any(row.status != "ok" for row in mine) else ABSENT


def _conditions(result: Result) -> str:
    c = result.conditions
    calls = "fastest of" if c.statistic == "minimum" else "median of"
    again = f", geometric mean of {c.repeat} repetitions" if c.repeat > 1 else ""
    unsteady = disturbed(result)
    noted = (
        f" {len(unsteady)} rows differ by more than 15 % between repetitions." if unsteady else ""
    )
    return (
        f"`{c.command}`  \n"
        f"{calls.capitalize()} interleaved calls{again}; {conditions_line(result)}.{noted}"
    )


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _times(value: float | None) -> str:
    return f"{value:.2f}x" if value else ABSENT


def _mean(values: Sequence[float | None]) -> str:
    """The geometric mean where every map has a number."""
    known = [value for value in values if value]
    return f"{geometric_mean(known):.2f}x" if known and len(known) == len(values) else ABSENT

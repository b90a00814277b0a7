"""What the gate is to reach, and ratios read from rows.

A ratio of a map is the geometric mean over the repetitions of the ratios within each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from foveate.bench.cases import EIGHT, MEMORY, ONE, RESNET50, Case
from foveate.bench.contest import BOTH, FORWARD
from foveate.bench.result import Result, Row
from foveate.bench.statistics import geometric_mean


@dataclass(frozen=True)
class Goal:
    """One line of the promise.

    Attributes:
        text: What it is about.
        limit: The ratio to reach.
        kind: ``"speedup"`` (time of the other over ours, at least), ``"distance"`` (our time over
            the other's, at most) or ``"memory"`` (our peak over the other's, at most).
        against: The other variant.
        cases: The maps; the geometric mean over them counts.
        mode: ``"forward"`` or ``"forward+backward"``.
        dtype: Dtype of the table.
    """

    text: str
    limit: float
    kind: Literal["speedup", "distance", "memory"]
    against: str
    cases: tuple[Case, ...]
    mode: str
    dtype: str = "float32"


def _times(name: str, cases: tuple[Case, ...], forward: float, both: float) -> tuple[Goal, Goal]:
    return (
        Goal(f"{name}, forward", forward, "speedup", "torchvision", cases, FORWARD),
        Goal(f"{name}, forward+backward", both, "speedup", "torchvision", cases, BOTH),
    )


GOALS: tuple[Goal, ...] = (
    *_times("N = 1", ONE, 2.4, 4.3),
    *_times("N = 8", EIGHT, 2.7, 5.2),
    Goal("N = 1, forward", 1.15, "distance", "conv", ONE, FORWARD),
    Goal("N = 1, forward+backward", 1.35, "distance", "conv", ONE, BOTH),
    *(
        Goal(f"{case.name}, forward+backward", 0.6, "memory", "torchvision", (case,), BOTH)
        for case in MEMORY
    ),
    Goal(
        f"{RESNET50[0].name}, bfloat16 forward to float32",
        4.0,
        "speedup",
        "torchvision",
        RESNET50[:1],
        FORWARD,
        "bfloat16",
    ),
)


@dataclass(frozen=True)
class Reached:
    """A goal and what was measured.

    Attributes:
        goal: The goal.
        value: The measured ratio; None where a map is missing.
        reached: Whether it meets the limit; None where it is not known.
    """

    goal: Goal
    value: float | None
    reached: bool | None

    def __str__(self) -> str:
        goal = self.goal
        sign = ">=" if goal.kind == "speedup" else "<="
        subject = {
            "speedup": "speed-up over",
            "distance": "time over that of",
            "memory": "memory over",
        }
        head = f"{goal.text}: {subject[goal.kind]} {goal.against}"
        limit = f"goal {sign} {goal.limit:g}x"
        if self.value is None:
            return f"{head} not measured ({limit})"
        return f"{head} {self.value:.2f}x ({limit}): {'reached' if self.reached else 'missed'}"


def judge(rows: Sequence[Row], statistic: str) -> list[Reached]:
    """Compare rows with every goal."""
    found = []
    for goal in GOALS:
        values = [ratio_of_goal(rows, goal, case.name, statistic) for case in goal.cases]
        known = [value for value in values if value]
        if len(known) < len(values):
            found.append(Reached(goal, None, None))
            continue
        value = geometric_mean(known)
        good = value >= goal.limit if goal.kind == "speedup" else value <= goal.limit
        found.append(Reached(goal, value, good))
    return found


def ratio_of_goal(rows: Sequence[Row], goal: Goal, case: str, statistic: str) -> float | None:
    """The ratio of one map that a goal is about."""
    suite = "memory" if goal.kind == "memory" else "gate"
    quantity = "memory_mib" if goal.kind == "memory" else quantity_of(statistic)
    pair = ("foveate", goal.against) if goal.kind != "speedup" else (goal.against, "foveate")
    mine = [r for r in rows if (r.suite, r.dtype, r.mode) == (suite, goal.dtype, goal.mode)]
    return ratio(mine, case, *pair, quantity)


def ratio(rows: Iterable[Row], case: str, over: str, under: str, quantity: str) -> float | None:
    """The quantity of variant ``over`` by that of ``under`` on one map, None if one is missing.

    Args:
        rows: Rows of one suite, dtype and mode.
        case: Name of the map.
        over: Variant above the line.
        under: Variant below it.
        quantity: ``"min_ms"``, ``"median_ms"`` or ``"memory_mib"``.
    """
    ratios = run_ratios(rows, case, over, under, quantity)
    return geometric_mean(ratios) if ratios else None


def run_ratios(rows: Iterable[Row], case: str, over: str, under: str, quantity: str) -> list[float]:
    """The ratio in each repetition."""
    runs: dict[int, dict[str, float]] = {}
    for row in rows:
        value = getattr(row, quantity)
        if row.case == case and value:
            runs.setdefault(row.run, {})[row.variant] = value
    return [run[over] / run[under] for run in runs.values() if over in run and under in run]


def quantity_of(statistic: str) -> str:
    """The field of a row that holds a file's statistic."""
    return "min_ms" if statistic == "minimum" else "median_ms"


# Repetitions whose ratios lie further apart than this were disturbed by other load.
DISTURBED = 1.15


def disturbed(result: Result) -> list[str]:
    """Rows whose speed-up differs between repetitions by more than 15 %, in words."""
    spans: dict[tuple[str, ...], list[float]] = {}
    for row in result.rows:
        if row.speedup and row.variant != row.baseline:
            key = (row.suite, row.case, row.dtype, row.mode, row.variant)
            spans.setdefault(key, []).append(row.speedup)
    return [
        f"{' '.join(key)}: {min(values):.2f}x to {max(values):.2f}x"
        for key, values in spans.items()
        if max(values) > DISTURBED * min(values)
    ]

"""What is said below the tables: goals, disturbed rows, reasons, conditions."""

from __future__ import annotations

from foveate.bench.goals import disturbed, judge
from foveate.bench.result import OK, Result


def closing_lines(result: Result) -> list[str]:
    """Goals, disturbed rows, reasons and conditions, a line each, with empty lines between."""
    conditions = result.conditions
    roof = "/ roof: foveate's time over the least that the measured GEMM and memory rates allow"
    blocks = [[roof]] if any(row.roof_ratio for row in result.rows) else []
    blocks += [["toy sizes: no number means anything"]] if conditions.quick else []
    if not conditions.quick and {"gate", "memory"} & set(result.suites):
        blocks.append(goal_lines(result))
    unsteady = [] if conditions.quick else disturbed(result)
    if unsteady:
        head = "repetitions differ by more than 15 %; other load disturbed these rows:"
        blocks.append([head, *unsteady])
    blocks += [reasons(result), [conditions_line(result)]]
    return [line for block in blocks if block for line in ("", *block)]


def goal_lines(result: Result) -> list[str]:
    """Every goal that can be judged, and how many cannot."""
    verdicts = judge(result.rows, result.conditions.statistic)
    said = [str(one) for one in verdicts if one.reached is not None]
    missing = len(verdicts) - len(said)
    if missing:
        said.append(f"goals not judged, since maps are missing: {missing} of {len(verdicts)}")
    return said


def reasons(result: Result) -> list[str]:
    """Why rows hold no number, each reason once with the maps it is about."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in result.rows:
        if row.status != OK:
            key = (row.suite, row.variant, row.status)
            found.setdefault(key, {})[row.case] = None
    return [
        f"{suite} {variant} at {_some(list(cases))}: {status}"
        for (suite, variant, status), cases in found.items()
    ]


def _some(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def conditions_line(result: Result) -> str:
    """Machine, threads, rates, versions and commit in one line."""
    c = result.conditions
    where = c.gpus[0] if c.device == "cuda" and c.gpus else c.processor
    rates = ", ".join(f"{rate:.0f} GFLOP/s {name}" for name, rate in c.gemm_gflops.items())
    speed = f"{rates}, {c.bandwidth_gbs:.0f} GB/s; " if c.bandwidth_gbs else ""
    load = "" if c.load[0] is None else f"; load {c.load[0]:.1f} before, {c.load[1]:.1f} after"
    commit = f"{c.commit[:12]}{' with changes' if c.dirty else ''}" if c.commit else "not known"
    threads = "1 thread" if c.threads == 1 else f"{c.threads} threads"
    return (
        f"{where}, {c.cores} cores, {threads}; {speed}"
        f"torch {c.versions.get('torch')}, torchvision {c.versions.get('torchvision')},"
        f" foveate {c.versions.get('foveate')}; commit {commit}; {c.started[:10]}{load}"
    )

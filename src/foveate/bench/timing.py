"""Time the contestants that passed the checks, in turns."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from foveate.accounting.interleave import interleave
from foveate.bench.check import Verdicts
from foveate.bench.contest import FORWARD, Contest, Contestant, short
from foveate.bench.result import Row
from foveate.bench.settings import Settings
from foveate.bench.statistics import spread

Load = tuple["float | None", "float | None"]


def compete(contest: Contest, settings: Settings, verdicts: Verdicts, number: int = 1) -> list[Row]:
    """Check, then time; one row per contestant and mode, without numbers where it is not "ok"."""
    status = verdicts.of(contest, settings.device)
    ready = {
        one.name: one.ready(contest.case, one.dtype, settings.device)
        for one in contest.contestants
        if not status[one.name]
    }
    pick = min if settings.statistic == "minimum" else statistics.median
    rows: list[Row] = []
    for mode in contest.modes:
        before = load()
        times = time_all(ready, mode, settings)
        loads = (before, load())
        headline = {name: float(pick(rounds)) for name, rounds in times.items()}
        base, roof = headline.get(contest.baseline), contest.roofs.get(mode)
        for one in contest.contestants:
            numbers: dict[str, object] = {"status": status[one.name] or "ok"}
            if one.name in times:
                median, iqr = spread(times[one.name])
                numbers |= {
                    "min_ms": min(times[one.name]),
                    "median_ms": median,
                    "iqr_ms": iqr,
                    "rounds": len(times[one.name]),
                    "speedup": base and base / headline[one.name],
                    "roof_ratio": roof and headline[one.name] / roof,
                }
            rows.append(row_of(contest, one, mode, number, loads, numbers))
    return rows


def time_all(
    ready: Mapping[str, tuple[nn.Module, Tensor]], mode: str, settings: Settings
) -> dict[str, list[float]]:
    """Milliseconds per round of every module on its input."""
    make = forward_call if mode == FORWARD else both_call
    calls = {name: make(*pair) for name, pair in ready.items()}
    return interleave(
        calls,
        torch.device(settings.device),
        repeats=settings.most if calls else 0,
        minimum=settings.minimum,
        seconds=settings.seconds * len(calls),
        warmup=settings.warmup,
        clock=settings.clock,
    )


def forward_call(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """A forward pass without gradients."""

    def call() -> None:
        with torch.no_grad():
            module(x)

    return call


def both_call(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """Forward and backward to a fresh input and all parameters; no gradient stays.

    The upstream gradient is fixed, in the layout of the output.
    """
    with torch.no_grad():
        upstream = torch.randn_like(module(x))

    def call() -> None:
        module(x.detach().requires_grad_()).backward(upstream)
        module.zero_grad(set_to_none=True)

    return call


def row_of(
    contest: Contest,
    one: Contestant,
    mode: str,
    number: int,
    loads: Load,
    numbers: Mapping[str, object],
) -> Row:
    """Put a row together."""
    facts = {
        "suite": contest.suite,
        "case": contest.label or contest.case.name,
        "shape": contest.case.shape,
        "dtype": short(contest.dtype),
        "computed_in": short(one.dtype),
        "variant": one.name,
        "mode": mode,
        "run": number,
        "baseline": contest.baseline,
        "load": loads,
    }
    return Row.model_validate({**facts, **numbers})


def load() -> float | None:
    """The load average of the last minute, where the system has one."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None

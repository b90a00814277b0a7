"""A run of the benchmark: steps in turn, rows kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from foveate.bench import cases, memory, suites
from foveate.bench.check import Verdicts
from foveate.bench.contest import Contest
from foveate.bench.result import Conditions, Result, Row
from foveate.bench.roofline import Rates, measure_rates
from foveate.bench.scaling import Scaling
from foveate.bench.settings import Settings
from foveate.bench.timing import compete, load
from foveate.bench.variants import line_up
from foveate.core import Words, check_choice, check_positive_int, environment, expected

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
PACKAGES = (*environment.PACKAGES, "triton", "deformops")


@dataclass(frozen=True)
class Step:
    """A piece of the run: a label for the eye and what returns its rows."""

    label: str
    run: Callable[[], list[Row]]


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        suites: Names of ``cases.SUITES``.
        versus: Baselines by name.
        dtypes: ``"float32"``, ``"bfloat16"``; others than float32 for gate and op alone.
        patterns: Names of cases with wildcards; none means all.
        repeat: How often the whole is measured.
        attentions: Attentions of the network suite; none means all.
    """

    suites: tuple[str, ...] = ("gate",)
    versus: tuple[str, ...] = ("torchvision", "conv")
    dtypes: tuple[str, ...] = ("float32",)
    patterns: tuple[str, ...] = ()
    repeat: int = 1
    attentions: tuple[str, ...] = ()

    def check(self) -> None:
        """Check every name before anything runs.

        Raises:
            ValueError: If a suite, baseline, dtype or pattern is unknown.
        """
        for suite in self.suites:
            check_choice("bench", "suite", suite, cases.SUITES)
        for dtype in self.dtypes:
            check_choice("bench", "--dtype", dtype, DTYPES)
        if not self.suites or not self.dtypes:
            raise ValueError(expected("bench", "a suite and a dtype", Words("none")))
        check_positive_int("bench", "repeat", self.repeat)
        line_up(list(self.versus))
        for suite in self.suites:
            cases.chosen(suite, self.patterns)


class Session:
    """One run of a plan.

    Args:
        plan: What is measured.
        settings: How.
        out: The result file; None keeps it in memory alone. Until the run is complete its rows are
            kept after every step beside it, in ``partial``.
    """

    def __init__(self, plan: Plan, settings: Settings, out: Path | None = None) -> None:
        plan.check()
        self.plan, self.settings, self.out = plan, settings, out
        self.rows: list[Row] = []
        self.rates: Rates | None = None
        self.interrupted = False
        self._started, self._load = environment.timestamp(), load()
        self._commit = environment.commit()  # That of the start: the tree may move on.
        self._verdicts = Verdicts()
        self._scaling = Scaling(settings, self._verdicts)

    def run(self, tell: Callable[[str, float], None] = lambda label, share: None) -> Result:
        """Run every step; Ctrl-C ends the run and keeps the rows of finished steps.

        Args:
            tell: Called before each step with its label and the share of steps that are done.
        """
        with _threads(self.settings.threads):
            try:
                tell("rates of the machine", 0.0)
                self.rates = measure_rates(
                    [DTYPES[name] for name in self.plan.dtypes],
                    self.settings.device,
                    self.settings.quick,
                )
                steps = list(self.steps())
                for done, step in enumerate(steps):
                    tell(step.label, done / len(steps))
                    self.rows += step.run()
                    self._keep()
            except KeyboardInterrupt:
                self.interrupted = True
        self._keep()
        if self.out is not None and self.partial is not None and not self.interrupted:
            self.partial.replace(self.out)
        return self.result()

    def steps(self) -> Iterator[Step]:
        """Every step in order; the whole table comes again for each repetition."""
        for number in range(1, self.plan.repeat + 1):
            for suite in self.plan.suites:
                if suite == "memory" and number > 1:
                    continue  # Other load does not disturb it.
                for step in self._steps_of(suite, number):
                    again = f", run {number} of {self.plan.repeat}" if self.plan.repeat > 1 else ""
                    yield Step(f"{suite} {step.label}{again}", step.run)

    def _steps_of(self, suite: str, number: int) -> Iterator[Step]:
        quick, device, versus = self.settings.quick, self.settings.device, list(self.plan.versus)
        found = cases.chosen(suite, self.plan.patterns if not quick else (), quick)
        if suite in ("gate", "op"):
            for dtype in self.plan.dtypes:
                for case in found:
                    make = partial(
                        suites.variants_contest, suite, case, DTYPES[dtype], versus, device
                    )
                    yield Step(f"{case.name} {dtype}", partial(self._timed, make, number))
        elif suite == "memory":
            for case in found[:1] if quick else found:
                yield Step(case.name, partial(self._memory, case, number))
        elif suite == "attention":
            for case in found:
                make = partial(suites.attention_contest, case)
                yield Step(case.name, partial(self._compete, make, number))
        elif suite == "network":
            for name, side in cases.NETWORKS_QUICK if quick else cases.NETWORKS:
                attentions = list(self.plan.attentions) or None
                make = partial(suites.network_contest, name, side, attentions)
                yield Step(name, partial(self._compete, make, number))
        else:
            for side in cases.SCALING_QUICK if quick else cases.SCALING:
                yield Step(f"{side}x{side}", partial(self._scaling.point, side, number))

    def _timed(self, make: Callable[..., Contest], number: int) -> list[Row]:
        return compete(make(self.rates), self.settings, self._verdicts, number)

    def _compete(self, make: Callable[[], Contest], number: int) -> list[Row]:
        return compete(make(), self.settings, self._verdicts, number)

    def _memory(self, case: cases.Case, number: int) -> list[Row]:
        """Peak memory, after a check on a small map."""
        device = self.settings.device
        contest = suites.memory_contest(case, list(self.plan.versus), device)
        status = self._verdicts.of(contest, device)
        return memory.rows_of(contest, status, self.settings, number)

    def result(self) -> Result:
        """The rows so far and their conditions."""
        settings, commit = self.settings, self._commit
        conditions = Conditions(
            command=environment.command(),
            commit=commit and commit.rstrip("+"),
            dirty=bool(commit and commit.endswith("+")),
            started=self._started,
            ended=environment.timestamp(),
            interrupted=self.interrupted,
            quick=settings.quick,
            device="cuda" if settings.device == "cuda" else "cpu",
            threads=settings.threads,
            versions=environment.versions(PACKAGES),
            statistic=settings.statistic,
            clock=settings.clock_name,
            seconds=settings.seconds,
            repeat=self.plan.repeat,
            gemm_gflops=self.rates.gemm_gflops if self.rates else {},
            bandwidth_gbs=self.rates.bandwidth_gbs if self.rates else None,
            load=(self._load, load()),
            **environment.machine(),
        )
        return Result(suites=list(self.plan.suites), conditions=conditions, rows=self.rows)

    @property
    def partial(self) -> Path | None:
        """Where the rows of an unfinished run are: an older, complete file is not touched by it."""
        return self.out and self.out.with_name(f"{self.out.name}.partial")

    def _keep(self) -> None:
        if self.partial is not None:
            self.result().save(self.partial)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use so many threads, and put the old number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def failures(rows: Sequence[Row]) -> list[Row]:
    """The rows that failed."""
    return [row for row in rows if row.status.startswith("failed")]

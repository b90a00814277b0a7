"""Time and memory against the number of pixels, and the exponents with which they grow."""

from __future__ import annotations

from collections.abc import Sequence

from foveate.bench import memory, probe
from foveate.bench.cases import SCALING_CHANNELS, SCALING_MEMORY, Case
from foveate.bench.check import Verdicts
from foveate.bench.contest import BOTH
from foveate.bench.result import OK, Row
from foveate.bench.settings import Settings
from foveate.bench.statistics import PowerLaw, power_law
from foveate.bench.suites import scaling_contest
from foveate.bench.timing import compete

# A variant stops before the size at which one training step would take longer, in seconds.
BOUND, BOUND_QUICK = 4.0, 0.5
# Exponents are fitted from this number of pixels on: below it fixed costs rule.
LARGE = 40 * 40


class Scaling:
    """The points of the suite, one size after the other."""

    def __init__(self, settings: Settings, verdicts: Verdicts) -> None:
        self.settings, self.verdicts = settings, verdicts
        self._bound = BOUND_QUICK if settings.quick else BOUND
        self._seen: list[Row] = []

    def point(self, side: int, number: int) -> list[Row]:
        """Time all variants on a square map, and measure memory at some sizes."""
        case = Case(1, SCALING_CHANNELS, side, side)
        rows = compete(
            scaling_contest(case, self._late(case, number)), self.settings, self.verdicts, number
        )
        if side in SCALING_MEMORY and number == 1:
            rows = [self._with_memory(row, case) for row in rows]
        self._seen += rows
        return rows

    def _late(self, case: Case, number: int) -> dict[str, str]:
        """Who would take too long at this size, by the growth of the last two."""
        late = {}
        mine = [row for row in self._seen if row.mode == BOTH and row.run == number]
        for name in {row.variant for row in mine}:
            rows = [row for row in mine if row.variant == name]
            if rows[-1].status.startswith("not run"):
                late[name] = rows[-1].status.removeprefix("not run: ")
                continue
            known = [(_pixels(row), row.min_ms) for row in rows if row.min_ms is not None]
            if len(known) < 2:
                continue
            law = power_law(*zip(*known[-2:], strict=True))
            seconds = law.factor * case.pixels**law.exponent / 1000
            if seconds > self._bound:
                late[name] = (
                    f"a step would take some {seconds:.0f} s, the bound is {self._bound:g} s"
                )
        return late

    def _with_memory(self, row: Row, case: Case) -> Row:
        if row.status != OK or row.mode != BOTH or probe.why_not(self.settings.device):
            return row
        try:
            mib = memory.measure("scaling", case, row.variant, row.mode, self.settings)
        except RuntimeError as error:
            empty = dict.fromkeys(("min_ms", "median_ms", "iqr_ms", "rounds", "speedup"))
            return row.model_copy(update={**empty, "status": f"failed: memory: {error}"})
        return row.model_copy(update={"memory_mib": mib})


def growth(rows: Sequence[Row], variant: str, mode: str, quantity: str) -> PowerLaw | None:
    """Fit how a quantity of a variant grows with the number of pixels.

    Args:
        rows: Rows of the scaling suite.
        variant: Its name.
        mode: ``"forward"`` or ``"forward+backward"``.
        quantity: ``"min_ms"``, ``"median_ms"`` or ``"memory_mib"``.

    Returns:
        The fit over the maps of at least 40 x 40 pixels, or None with fewer than three of them.
    """
    points: dict[int, list[float]] = {}
    for row in rows:
        value = getattr(row, quantity)
        if row.variant == variant and row.mode == mode and value and _pixels(row) >= LARGE:
            points.setdefault(_pixels(row), []).append(value)
    if len(points) < 3:
        return None
    return power_law(list(points), [min(values) for values in points.values()])


def _pixels(row: Row) -> int:
    return row.shape[0] * row.shape[2] * row.shape[3]

"""The least time that the machine allows: operations over its GEMM rate, bytes over its bandwidth.

Both rates are measured in the run whose rows they judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from foveate.accounting.interleave import interleave
from foveate.attention.registry import squeezed
from foveate.bench.cases import Case
from foveate.bench.contest import BOTH, FORWARD, short
from foveate.bench.modules import ALPHA

# Shapes (P, 9 r, C) of the gate's own products, and a cube; the best rate is the roof.
GEMMS = ((3136, 459, 256), (784, 918, 512), (196, 1836, 1024), (3136, 108, 64), (1536, 1536, 1536))
GEMMS_QUICK = ((256, 256, 256),)
COPY_MIB = 128


@dataclass(frozen=True)
class Rates:
    """What the machine can do.

    Attributes:
        gemm_gflops: Best rate of a matrix product, 10^9 operations a second, by dtype.
        bandwidth_gbs: Reading and writing memory, 10^9 bytes a second.
    """

    gemm_gflops: dict[str, float]
    bandwidth_gbs: float


def measure_rates(dtypes: list[torch.dtype], device: str, quick: bool = False) -> Rates:
    """Measure the rates with the threads that torch now has."""
    rates = {}
    for dtype in dtypes:
        best = 0.0
        for rows, inner, columns in GEMMS_QUICK if quick else GEMMS:
            left = torch.randn(rows, inner, device=device).to(dtype)
            right = torch.randn(inner, columns, device=device).to(dtype)
            out = torch.empty(rows, columns, device=device, dtype=dtype)
            seconds = _fastest(partial(torch.mm, left, right, out=out), device)
            best = max(best, 2e-9 * rows * inner * columns / seconds)
        rates[short(dtype)] = best
    source = torch.zeros((1 if quick else COPY_MIB) << 18, device=device)
    target = torch.empty_like(source)
    seconds = _fastest(partial(target.copy_, source), device)
    return Rates(rates, 2e-9 * source.nbytes / seconds)


def _fastest(call: Callable[[], object], device: str) -> float:
    """Seconds of the fastest call."""
    times = interleave(
        {"call": call}, torch.device(device), repeats=1000, minimum=5, seconds=0.2, warmup=1
    )
    return min(times["call"]) / 1000


def gate_cost(case: Case, itemsize: int) -> tuple[int, int]:
    """Operations and least bytes of one forward pass of the gate.

    With P pixels and r squeezed channels: 2 P (9 C + C r + 243 r + 9 r C) operations; x read twice,
    the output written, the squeezed map moved four times, offsets and mask twice, weights once.
    The columns of the deformable step are not in it: they need never leave the cache.

    Example:
        >>> operations, size = gate_cost(Case(1, 256, 56, 56), 4)
        >>> round(operations / 1e9, 3), round(size / 1e6, 1)
        (0.911, 13.5)
    """
    p, c, r = case.pixels, case.channels, squeezed(case.channels, ALPHA)
    weights = 9 * c + c * r + 243 * r + 9 * r * c
    return 2 * p * weights, itemsize * (3 * p * c + 4 * p * r + 54 * p + weights)


def op_cost(case: Case, itemsize: int) -> tuple[int, int]:
    """Operations and least bytes of the deformable step alone, everything moved once."""
    p, c, r = case.pixels, case.channels, squeezed(case.channels, ALPHA)
    return 2 * p * 9 * r * c, itemsize * (p * r + 27 * p + 9 * r * c + p * c)


def roofs(cost: tuple[int, int], dtype: torch.dtype, rates: Rates) -> dict[str, float]:
    """Least milliseconds by mode; backward has two products for each of the forward pass."""
    operations, size = cost
    rate = rates.gemm_gflops[short(dtype)]
    by_memory = 1e-6 * size / rates.bandwidth_gbs
    return {
        FORWARD: max(1e-6 * operations / rate, by_memory),
        BOTH: max(3e-6 * operations / rate, by_memory),
    }

"""Results made by hand, for the tests of what is computed from them."""

from foveate.bench.cases import EIGHT, MEMORY, ONE
from foveate.bench.result import Conditions, Result, Row

BOTH = "forward+backward"


def row(variant="foveate", ms=2.0, case="1x256x56x56", suite="gate", **changes):
    """A row with a time, or with memory where ms is None and memory_mib is given."""
    numbers = {}
    if ms is not None:
        numbers = {"min_ms": ms, "median_ms": 1.1 * ms, "iqr_ms": 0.1, "rounds": 9}
    facts = {
        "suite": suite,
        "case": case,
        "shape": tuple(int(part) for part in case.split("x")),
        "dtype": "float32",
        "computed_in": "float32",
        "variant": variant,
        "mode": "forward",
        "run": 1,
        "status": "ok",
        "baseline": "torchvision",
        **numbers,
    }
    return Row(**{**facts, **changes})


def result(rows, suites=("gate",), **changes):
    """A result file around rows."""
    facts = {
        "command": "foveate bench",
        "commit": "0123456789abcdef",
        "dirty": False,
        "started": "2026-01-02T03:04:05Z",
        "ended": "2026-01-02T03:14:05Z",
        "interrupted": False,
        "quick": False,
        "device": "cpu",
        "threads": 2,
        "system": "Linux",
        "processor": "Some CPU",
        "cores": 2,
        "gpus": [],
        "versions": {"torch": "2.9", "torchvision": "0.24", "foveate": "0.1.0"},
        "statistic": "minimum",
        "clock": "wall",
        "seconds": 1.0,
        "repeat": 1,
        "gemm_gflops": {"float32": 150.0},
        "bandwidth_gbs": 30.0,
        "load": (0.1, 0.9),
    }
    return Result(
        suites=list(suites), conditions=Conditions(**{**facts, **changes}), rows=list(rows)
    )


def full_rows(speedup=3.0, distance=1.2, memory=0.5, runs=(1,)):
    """Every row that the goals look at, with one ratio everywhere."""
    rows = []
    for run in runs:
        for case in (*ONE, *EIGHT):
            for mode in ("forward", BOTH):
                shared = {"case": case.name, "mode": mode, "run": run}
                rows.append(row("torchvision", 10 * speedup, **shared, speedup=1.0))
                rows.append(row("foveate", 10.0, **shared, speedup=speedup))
                rows.append(row("conv", 10 / distance, **shared, speedup=speedup * distance))
        bf16 = {"case": ONE[0].name, "dtype": "bfloat16", "run": run}
        rows.append(row("torchvision", 50.0, **bf16))
        rows.append(row("foveate", 10.0, **{**bf16, "computed_in": "bfloat16"}))
        for case in MEMORY:
            shared = {"case": case.name, "suite": "memory", "mode": BOTH, "run": run}
            rows.append(row("torchvision", None, **shared, memory_mib=100.0))
            rows.append(row("foveate", None, **shared, memory_mib=100 * memory))
    return rows


def scaling_rows(exponents=(("gate", 1.0), ("self-attention", 2.0)), sides=(14, 40, 80, 160, 320)):
    """Times and memory that follow power laws exactly above 1600 pixels."""
    rows = []
    for side in sides:
        for variant, exponent in exponents:
            value = (side * side / 1600) ** exponent
            value = max(value, 5.0) if side < 40 else value  # fixed costs at small sizes
            shared = {"case": f"1x64x{side}x{side}", "suite": "scaling", "baseline": "gate"}
            rows.append(row(variant, value, **shared))
            rows.append(row(variant, 3 * value, **shared, mode=BOTH, memory_mib=7 * value))
    return rows

"""Peak memory of one call, in a process that does nothing else: see ``bench.memory``."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path
from typing import Any

import torch

from foveate.bench.cases import Case
from foveate.bench.contest import FORWARD, Contest
from foveate.bench.suites import scaling_contest, variants_contest
from foveate.bench.timing import both_call, forward_call
from foveate.bench.variants import OURS

_PROC = Path("/proc/self")


def contest_of(suite: str, case: Case, variant: str, device: str) -> Contest:
    """The contest in which a variant stands."""
    if suite == "scaling":
        return scaling_contest(case, {})
    versus = [] if variant in OURS else [variant]
    return variants_contest(suite, case, torch.float32, versus, device)


def peak_mib(suite: str, case: Case, variant: str, mode: str, device: str) -> float:
    """MiB at the peak of one call over the state before it; input and weights are in that state.

    Raises:
        OSError: If the system does not tell a process its own peak.
    """
    contest = contest_of(suite, case, variant, device)
    one = next(one for one in contest.contestants if one.name == variant)
    make = forward_call if mode == FORWARD else both_call
    # Whatever is set up once, libraries and their pools, is set up by a small call.
    make(*one.ready(case.reduced(), one.dtype, device))()
    call = make(*one.ready(case, one.dtype, device))
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() - before) / 2**20
    _return_free_memory()
    (_PROC / "clear_refs").write_text("5")  # The peak starts from here.
    start = _kib("VmRSS")
    call()
    return max(0.0, (_kib("VmHWM") - start) / 1024)


def why_not(device: str) -> list[str]:
    """The reasons why memory cannot be measured here."""
    if device == "cuda" or (_PROC / "clear_refs").exists():
        return []
    return [f"{sys.platform} does not tell a process its peak memory"]


def _return_free_memory() -> None:
    """Give freed blocks back to the system, so that the call does not find them ready."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _kib(field: str) -> int:
    for line in (_PROC / "status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def main() -> None:
    """Measure what the last argument, JSON, asks for and print the MiB."""
    wanted: dict[str, Any] = json.loads(sys.argv[-1])
    torch.set_num_threads(wanted.pop("threads"))
    wanted["case"] = Case(*wanted["case"])
    print(json.dumps({"mib": peak_mib(**wanted)}))

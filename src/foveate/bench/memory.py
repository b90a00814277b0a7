"""Peak memory: a fresh process for each variant, map and mode, and its row."""

from __future__ import annotations

import json
import subprocess
import sys

from foveate.bench import probe
from foveate.bench.cases import Case
from foveate.bench.contest import MODES, Contest
from foveate.bench.result import Row
from foveate.bench.settings import Settings
from foveate.bench.timing import load, row_of

SECONDS = 300


def measure(suite: str, case: Case, variant: str, mode: str, settings: Settings) -> float:
    """MiB of one call in a process of its own.

    Raises:
        RuntimeError: If the process fails or takes longer than five minutes.
    """
    wanted = {
        "suite": suite,
        "case": case.shape,
        "variant": variant,
        "mode": mode,
        "threads": settings.threads,
        "device": settings.device,
    }
    code = f"from {probe.__name__} import main; main()"
    arguments = [sys.executable, "-c", code, json.dumps(wanted)]
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no answer within {SECONDS} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RuntimeError(last)
    return float(json.loads(done.stdout.splitlines()[-1])["mib"])


def rows_of(contest: Contest, status: dict[str, str], settings: Settings, number: int) -> list[Row]:
    """One row per contestant and mode; ``status`` says who may not run."""
    rows = []
    missing = probe.why_not(settings.device)
    for mode in MODES[-1:] if settings.quick else MODES:
        for one in contest.contestants:
            before, mib = load(), None
            said = status[one.name] or (f"not run: {missing[0]}" if missing else "")
            if not said:
                try:
                    mib = measure("gate", contest.case, one.name, mode, settings)
                except RuntimeError as error:
                    said = f"failed: {error}"
            numbers = {"status": said or "ok", "memory_mib": mib}
            rows.append(row_of(contest, one, mode, number, (before, load()), numbers))
    return rows

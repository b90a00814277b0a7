"""What a call of gpu.py has measured, when it has to end, and where it writes."""

import json
import time
import traceback
from pathlib import Path

import torch

from foveate.core import environment
from gpu_parts import SMOKE
from gpu_parts.gates import BATCH, HALF


def has_gpu() -> bool:
    """Whether there is one to measure."""
    return torch.cuda.is_available()


class OutOfTimeError(Exception):
    """The budget is spent."""


class Session:
    """What is measured, when it has to end, and where it is written."""

    def __init__(self, out: Path, seconds: float, commit: str | None) -> None:
        torch.manual_seed(0)
        self.out, self.end = out, time.monotonic() + seconds
        properties = None if SMOKE else torch.cuda.get_device_properties(0)
        self.result = {
            "conditions": {
                "date": environment.timestamp(),
                "commit": environment.commit() or commit,  # "+" at its end: the tree was changed
                "command": environment.command(),
                "machine": environment.machine(),
                "versions": environment.versions(("torch", "triton", "torchvision", "deformops")),
                "multiprocessors": properties and properties.multi_processor_count,
                "batch": BATCH,
                "dtype": str(HALF),
                "interpreted": SMOKE,
            },
            "complete": False,
        }

    def left(self) -> float:
        return self.end - time.monotonic()

    def part(self, name: str, run, needs: float = 0) -> bool:
        """Run a part and write what it found; False if it failed or came too late.

        A part that needs more seconds than are left is not begun.
        """
        print(f"-- {name} ({self.left():.0f} s left)", flush=True)
        rows = self.result[name] = []
        try:
            if self.left() < needs:
                raise OutOfTimeError
            for row in run():
                rows.append(row)
                print("  " + "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)
                if self.left() < 0:
                    raise OutOfTimeError
        except OutOfTimeError:
            rows.append({"status": "out of time"})
        except Exception as error:
            traceback.print_exc()
            rows.append({"status": f"failed: {type(error).__name__}: {str(error)[:300]}"})
        self.write()
        return not any("status" in row for row in rows)

    def write(self) -> None:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        self.out.write_text(json.dumps(self.result, indent=1) + "\n")

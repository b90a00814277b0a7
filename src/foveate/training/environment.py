"""The conditions of a run, noted in its folder."""

from __future__ import annotations

from typing import Any

from foveate.core.environment import command, commit, machine, processor, timestamp, versions

__all__ = ["command", "commit", "describe", "machine", "processor", "timestamp", "versions"]


def describe(seed: int) -> dict[str, Any]:
    """Return all conditions of a run that starts now."""
    import torch

    return {
        "versions": versions(),
        "machine": machine(),
        "command": command(),
        "commit": commit(),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "started": timestamp(),
        "resumed": [],
        "ended": None,
    }

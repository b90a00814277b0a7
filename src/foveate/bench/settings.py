"""How everything is measured: threads, time, device, statistic."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """How everything is measured.

    Attributes:
        threads: Threads of torch.
        seconds: Time for each variant and mode, though at least ``minimum`` rounds.
        device: ``"cpu"`` or ``"cuda"``.
        minimum: Least number of rounds.
        most: Largest number of rounds.
        warmup: Untimed calls of each variant.
        quick: Toy sizes: everything runs, and no number means anything.
    """

    threads: int
    seconds: float = 1.0
    device: str = "cpu"
    minimum: int = 3
    most: int = 300
    warmup: int = 1
    quick: bool = False

    @property
    def statistic(self) -> Literal["minimum", "median"]:
        """The number that ratios are made of.

        The fastest call where other load can only add time; the median of one thread's processor
        time, which ignores preemption, and of a GPU's.
        """
        return "median" if self.threads == 1 or self.device == "cuda" else "minimum"

    @property
    def clock_name(self) -> Literal["processor", "wall"]:
        """Processor time of one thread, else the wall's."""
        return "processor" if self.threads == 1 and self.device == "cpu" else "wall"

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of that name, in seconds."""
        return time.process_time if self.clock_name == "processor" else time.perf_counter

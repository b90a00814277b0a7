"""The latency of an exported file beside eager PyTorch's, as a ratio of calls made in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foveate.accounting.interleave import interleave
from foveate.accounting.latency import BLOCKS, Timing, summarize
from foveate.export.settings import Runner

EAGER, EXPORTED = "PyTorch", "exported"


@dataclass(frozen=True)
class Speed:
    """How fast an exported file is here.

    Attributes:
        exported: Its timing; the ratio is to eager PyTorch, below 1 is faster.
        eager: The timing of PyTorch.
        shape: Of the images.
        threads: Of both.
    """

    exported: Timing
    eager: Timing
    shape: tuple[int, ...]
    threads: int


def time_beside(
    model: nn.Module,
    runner: Runner,
    images: Tensor,
    *,
    threads: int,
    repeats: int = 20,
    seconds: float = 6.0,
) -> Speed:
    """Time the two in turn, with as many threads each.

    With one thread it is the time of the processor, which other processes hardly touch; with more
    that of the clock.

    Args:
        model: The network in float32, in evaluation mode.
        runner: What was exported; opened with ``threads``.
        images: One batch (N, C, H, W).
        threads: Of PyTorch during the measurement.
        repeats: Rounds at most.
        seconds: Start no round after this time, though not before 5 of them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)

    def eager() -> None:
        with torch.inference_mode():
            model(images)

    try:
        times = interleave(
            {EAGER: eager, EXPORTED: lambda: runner(images)},
            images.device,
            repeats=repeats,
            minimum=BLOCKS,
            seconds=seconds,
            warmup=2,
            clock=time.process_time if threads == 1 else time.perf_counter,
        )
    finally:
        torch.set_num_threads(before)
    found = summarize(times)
    return Speed(found[EXPORTED], found[EAGER], tuple(images.shape), threads)

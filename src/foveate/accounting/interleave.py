"""The timer: calls in turn, round after round, in an order that rotates.

Milliseconds drift by a fifth from hour to hour, with clocks and with other load; ratios of calls
that took turns hardly do. Whatever is compared is therefore timed by this one function.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch


def interleave(
    calls: Mapping[str, Callable[[], object]],
    device: torch.device,
    *,
    repeats: int,
    minimum: int,
    seconds: float | None = None,
    warmup: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time the calls in turn, starting each round with the next label.

    Args:
        calls: What to time, by label.
        device: Waited for before and after each call.
        repeats: Rounds at most.
        minimum: Rounds at least, whatever ``seconds`` says.
        seconds: Start no round after this time; None for no bound.
        warmup: Untimed calls of each label first.
        clock: Returns seconds; ``time.process_time`` ignores what other processes do.

    Returns:
        Milliseconds per round by label.

    Example:
        >>> ticks = iter(range(100))
        >>> calls = {"a": lambda: None, "b": lambda: next(ticks)}
        >>> cpu = torch.device("cpu")
        >>> interleave(calls, cpu, repeats=2, minimum=2, clock=lambda: next(ticks))
        {'a': [1000, 1000], 'b': [2000, 2000]}
    """
    labels = list(calls)
    for label in labels:
        for _ in range(warmup):
            calls[label]()
    times: dict[str, list[float]] = {label: [] for label in labels}
    begun = time.perf_counter()
    for number in range(repeats):
        if seconds is not None and number >= minimum and time.perf_counter() - begun > seconds:
            break
        shift = number % len(labels)
        for label in labels[shift:] + labels[:shift]:
            _synchronize(device)
            start = clock()
            calls[label]()
            _synchronize(device)
            times[label].append(1000 * (clock() - start))
    return times


def _synchronize(device: torch.device) -> None:
    """Wait for the device, whose calls return before their work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

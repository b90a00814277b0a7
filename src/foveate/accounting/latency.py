"""Latency of several networks as ratios, measured turn by turn in one run.

Each number comes from the fastest round: load can only ever add time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foveate.accounting.interleave import interleave
from foveate.core import check_choice, check_positive_int, expected

BLOCKS = 5


@dataclass(frozen=True)
class Timing:
    """Latency of one network.

    Attributes:
        ms: Milliseconds of the fastest call.
        ratio: ``ms`` over that of the first network.
        low: Smallest ratio of fastest calls over five blocks of rounds.
        high: Largest of these; ``low <= ratio <= high``.
        rounds: Timed calls.
    """

    ms: float
    ratio: float
    low: float
    high: float
    rounds: int


def latency(
    models: Mapping[str, nn.Module],
    example: Tensor,
    *,
    mode: str = "forward",
    repeats: int = 40,
    warmup: int = 2,
    seconds: float | None = None,
) -> dict[str, Timing]:
    """Time networks against the first of them, one call each in turn.

    Args:
        models: Networks by label; the first is the one that others are compared with. They are
            copied, so that neither weights nor running statistics change.
        example: Input (N, C, H, W), on the device of the networks.
        mode: ``"forward"`` (eval mode, no gradients) or ``"step"`` (train mode: forward, mean
            square of the output as the loss, backward to all parameters; without the optimizer).
        repeats: Timed rounds at most, at least 5.
        warmup: Untimed calls of each network first.
        seconds: Stop after this time, though not before 5 rounds; None for no bound.

    Returns:
        A timing per label, in milliseconds and as ratios.

    Raises:
        ValueError: If there is no network, ``mode`` is unknown, or a count is too small.

    Example:
        >>> nets = {"thin": nn.Conv2d(3, 4, 3), "thick": nn.Conv2d(3, 64, 3)}
        >>> latency(nets, torch.rand(1, 3, 32, 32), repeats=5)["thin"].ratio
        1.0
    """
    who = "latency"
    if not models:
        raise ValueError(expected(who, "at least one network", "none"))
    check_choice(who, "mode", mode, ("forward", "step"))
    check_positive_int(who, "repeats", repeats, minimum=BLOCKS)
    check_positive_int(who, "warmup", warmup)
    calls = {label: _call(model, example, mode) for label, model in models.items()}
    times = interleave(
        calls, example.device, repeats=repeats, minimum=BLOCKS, seconds=seconds, warmup=warmup
    )
    return summarize(times)


def _call(model: nn.Module, example: Tensor, mode: str) -> Callable[[], None]:
    """Return the call that is timed."""
    twin = copy.deepcopy(model).train(mode == "step")

    def forward() -> None:
        with torch.inference_mode():
            twin(example)

    def step() -> None:
        twin.zero_grad(set_to_none=True)
        twin(example).float().square().mean().backward()

    return forward if mode == "forward" else step


def summarize(times: Mapping[str, list[float]]) -> dict[str, Timing]:
    """Turn milliseconds per round, at least 5 of each label, into timings.

    The rounds are dealt to five blocks; each block has its own ratio of fastest calls, and the
    ratio of the fastest calls of all lies between the least and the greatest of them.

    Example:
        >>> summarize({"a": [2.0, 3, 2, 2, 2], "b": [4.0, 3, 4, 4, 6]})["b"]
        Timing(ms=3, ratio=1.5, low=1.0, high=3.0, rounds=5)
    """
    base = next(iter(times.values()))
    timings: dict[str, Timing] = {}
    for label, mine in times.items():
        ratios = [min(mine[b::BLOCKS]) / min(base[b::BLOCKS]) for b in range(BLOCKS)]
        best = min(mine)
        timings[label] = Timing(best, best / min(base), min(ratios), max(ratios), len(mine))
    return timings

"""A contest: modules that compute the same thing on one map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from foveate.bench.cases import Case

FORWARD, BOTH = "forward", "forward+backward"
MODES = (FORWARD, BOTH)
Build = Callable[[Case], nn.Module]


def same(case: Case) -> Case:
    """The map that goes in is the case itself."""
    return case


@dataclass(frozen=True)
class Contestant:
    """One module of a contest.

    Attributes:
        name: Its name in the table.
        build: Makes it for a map, in float32 on the CPU; the same weights each time.
        oracle: Makes what it must agree with, with the same weights.
        entry: The map that goes in, where it is not the case itself.
        channels_last: Whether input and weights are.
        dtype: What it computes in.
        compiled: Whether it goes through ``torch.compile``.
        reasons: Why it cannot run; none means that it can.
    """

    name: str
    build: Build
    oracle: Build
    entry: Callable[[Case], Case] = same
    channels_last: bool = False
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    reasons: tuple[str, ...] = ()

    def ready(self, case: Case, dtype: torch.dtype, device: str) -> tuple[nn.Module, Tensor]:
        """The module in evaluation mode and its input, in their layout and dtype, on the device."""
        form = layout(self.channels_last)
        module = seeded(self.build, case).eval().to(device, dtype).to(memory_format=form)
        x = fixed_input(self.entry(case)).to(device, dtype).contiguous(memory_format=form)
        if self.compiled:
            torch.compiler.reset()  # Each contest compiles anew, far from the recompile limit.
            module = torch.compile(module, dynamic=False)  # type: ignore[assignment]
        return module, x


@dataclass(frozen=True)
class Contest:
    """Contestants on one map.

    Attributes:
        suite: The table it belongs to.
        case: The map.
        contestants: Who takes part.
        baseline: The one that speed-ups refer to.
        dtype: The dtype of the table; a contestant that cannot compute in it has its own.
        checks: Maps and dtypes of the checks: (map, dtype or None for the contestant's own,
            dtype of the reference).
        modes: What is timed.
        roofs: The least milliseconds per mode that the machine allows, where known.
        label: The name of the case in the table; by default its own.
    """

    suite: str
    case: Case
    contestants: tuple[Contestant, ...]
    baseline: str
    dtype: torch.dtype = torch.float32
    checks: tuple[tuple[Case, torch.dtype | None, torch.dtype], ...] = ()
    modes: tuple[str, ...] = MODES
    roofs: dict[str, float] = field(default_factory=dict)
    label: str = ""


def seeded(build: Build, case: Case) -> nn.Module:
    """Build with a fixed seed, and leave the generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(case)


def short(dtype: torch.dtype) -> str:
    """A dtype by its bare name."""
    return str(dtype).removeprefix("torch.")


def layout(channels_last: bool) -> torch.memory_format:
    """The memory format by its flag."""
    return torch.channels_last if channels_last else torch.contiguous_format


def fixed_input(case: Case) -> Tensor:
    """The same random (N, C, H, W) map each time, in float32 on the CPU."""
    return torch.randn(case.shape, generator=torch.Generator().manual_seed(0))

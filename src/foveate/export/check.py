"""An exported file against PyTorch: the same images through both, the largest difference told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foveate.core import Words, expected
from foveate.export.program import DYNAMIC, Program, first_line, tensors_of, way_round
from foveate.export.settings import Runner, Target

LIMITS = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
"""Largest difference of an output, over its largest value, by the type that the runtime is to
compute in. A runtime that took bfloat16 where float32 was asked of it would be at 1e-2."""


@dataclass(frozen=True)
class Case:
    """One batch.

    Attributes:
        shape: Of the images, (N, C, H, W).
        absolute: The largest difference of any output.
        relative: The largest difference of an output over its largest value.
    """

    shape: tuple[int, ...]
    absolute: float
    relative: float


@dataclass(frozen=True)
class Check:
    """What a check came to.

    Attributes:
        images: Where they came from, in words.
        limit: What ``relative`` may be.
        cases: One for each batch.
        agree: For classifiers, the share of images whose best class is the same; None for others.
    """

    images: str
    limit: float
    cases: tuple[Case, ...]
    agree: float | None

    @property
    def absolute(self) -> float:
        """The largest difference."""
        return _largest([one.absolute for one in self.cases])

    @property
    def relative(self) -> float:
        """The largest difference over the largest value of its output."""
        return _largest([one.relative for one in self.cases])

    @property
    def passed(self) -> bool:
        """Whether the difference is within the limit; one that is not finite is not."""
        return self.relative <= self.limit


def batches(images: Tensor, program: Program) -> list[Tensor]:
    """Make the batches of a check: as exported, and where axes are open of other shapes too.

    Args:
        images: Some images (N, C, H, W), which are used again where there are too few.
        program: What was exported.
    """
    height, width = images.shape[2:]
    sizes = [(height, width)]
    if "size" in program.dynamic:
        sizes += [(height + 32, width), (height + 11, width + 24)]
    counts = [1, 3, 2] if "batch" in program.dynamic else [int(program.shape[0])]
    found, start = [], 0
    for place in range(max(len(sizes), len(counts))):
        count, size = counts[place % len(counts)], sizes[place % len(sizes)]
        rows = [(start + row) % len(images) for row in range(count)]
        start += count
        some = images[rows]
        if tuple(some.shape[2:]) != size:
            some = functional.interpolate(some, size, mode="bilinear", antialias=True)
        found.append(some.contiguous())
    return found


def noise(shape: Sequence[int], seed: int = 0) -> Tensor:
    """Images of a normal distribution, the same for the same seed."""
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def compare(
    model: nn.Module,
    runner: Runner,
    given: Sequence[Tensor],
    *,
    limit: float,
    images: str,
    tell: Callable[[str], None] = lambda text: None,
) -> Check:
    """Run batches through a network and through what was exported of it.

    Args:
        model: The network in float32, in evaluation mode.
        runner: What was exported.
        given: Batches (N, C, H, W) float32.
        limit: What the relative difference may be.
        images: Where the images came from, in words.
        tell: Told of each batch.
    """
    cases, same, total = [], 0, 0
    for batch in given:
        tell(f"checking {' x '.join(map(str, batch.shape))}")
        want = _wanted(model, batch)
        got = runner(batch)
        pairs = list(zip(got, want, strict=True))
        cases.append(
            Case(
                tuple(batch.shape),
                _largest([_difference(*pair) for pair in pairs]),
                _largest([_difference(*pair) / _size(pair[1]) for pair in pairs]),
            )
        )
        if len(want) == 1 and want[0].dim() == 2 and got[0].shape == want[0].shape:
            same += int((got[0].argmax(1) == want[0].argmax(1)).sum())
            total += len(batch)
    return Check(images, limit, tuple(cases), same / total if total else None)


def _wanted(model: nn.Module, batch: Tensor) -> list[Tensor]:
    try:
        with torch.no_grad():
            return [one.float() for one in tensors_of(model(batch)).values()]
    except (RuntimeError, ValueError, IndexError) as error:
        rule = f"a network that takes images of {' x '.join(map(str, batch.shape))}"
        remedy = f"it may not change its shape so: {way_round(DYNAMIC)}"
        raise ValueError(expected("export --check", rule, first_line(error), remedy)) from error


def limit_of(target: Target, *, half: bool) -> float:
    """What a difference may be for a target."""
    return LIMITS[target.half_name if half else "float32"]


def refuse(target: Target, runner: Runner, check: Check) -> None:
    """Refuse a file that is too far from PyTorch.

    Raises:
        ValueError: If it is.
    """
    if check.passed:
        return
    worst = next(one for one in check.cases if not one.relative <= check.limit)
    shape = " x ".join(map(str, worst.shape))
    rule = f"outputs within {check.limit:.0e} of PyTorch's"
    got = Words(
        f"{worst.relative:.1e} on images of {shape} ({runner.runtime} in {runner.precision})"
    )
    remedy = f"no file is left; try another --deform, or another runtime than {target.title} (--to)"
    raise ValueError(expected("export --check", rule, got, remedy))


def _difference(got: Tensor, want: Tensor) -> float:
    if got.shape != want.shape:
        return float("inf")
    return float((got.double() - want.double()).abs().max())


def _size(want: Tensor) -> float:
    return max(float(want.double().abs().max()), torch.finfo(torch.float32).tiny)


def _largest(values: Sequence[Any]) -> float:
    """The greatest; not a number if any is none, which ``max`` may pass over."""
    return float(torch.tensor(values, dtype=torch.float64).max())

"""The maps that are measured: those of real networks, in one place."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from foveate.core import Words, expected


@dataclass(frozen=True)
class Case:
    """A feature map, (N, C, H, W)."""

    batch: int
    channels: int
    height: int
    width: int

    @property
    def name(self) -> str:
        """All four numbers, ``8x256x56x56``."""
        return "x".join(map(str, self.shape))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The numbers as a tuple."""
        return self.batch, self.channels, self.height, self.width

    @property
    def pixels(self) -> int:
        """Positions of all images, N * H * W."""
        return self.batch * self.height * self.width

    def reduced(self) -> Case:
        """A small map of as many channels, for checks in float64; odd sides leave partial tiles."""
        return Case(min(self.batch, 2), self.channels, min(self.height, 9), min(self.width, 7))


RESNET50 = (Case(1, 256, 56, 56), Case(1, 512, 28, 28), Case(1, 1024, 14, 14), Case(1, 2048, 7, 7))
RESNET18 = (Case(1, 64, 56, 56), Case(1, 128, 28, 28), Case(1, 256, 14, 14), Case(1, 512, 7, 7))
# A ResNet-50 in a detector at 800 x 1216.
DETECTOR = Case(1, 256, 200, 304)
DETECTION = (Case(1, 512, 100, 152), Case(1, 1024, 50, 76), Case(1, 2048, 25, 38))

ONE = (*RESNET50, *RESNET18, DETECTOR)
EIGHT = tuple(Case(8, *case.shape[1:]) for case in (*RESNET50, *RESNET18))
MEMORY = (EIGHT[0], DETECTOR)
QUICK = (Case(1, 16, 14, 14), Case(2, 20, 9, 7))

# Sides of the square maps of the scaling suite, and those where memory is measured too.
SCALING_CHANNELS = 64
SCALING = (14, 28, 40, 56, 80, 112, 160, 224, 320, 512)
SCALING_MEMORY = (28, 56, 80, 112, 160, 224, 512)
SCALING_QUICK = (8, 12, 16)

# Networks and the side of their images.
NETWORKS = (("resnet18", 224), ("resnet50", 224), ("mobilenetv2_100", 224))
NETWORKS_QUICK = (("resnet10t", 64),)

SUITES: dict[str, tuple[Case, ...]] = {
    "gate": (*ONE, *EIGHT),
    "op": (*ONE, *DETECTION, *EIGHT),
    "attention": (RESNET18[0], *RESNET50),
    "network": (),
    "memory": MEMORY,
    "scaling": (),
}


def chosen(suite: str, patterns: Sequence[str] = (), quick: bool = False) -> list[Case]:
    """The cases of a suite whose names match one of the patterns; all without patterns.

    Raises:
        ValueError: If none matches.

    Example:
        >>> [case.name for case in chosen("gate", ["8x*x7x7"])]
        ['8x2048x7x7', '8x512x7x7']
    """
    known = QUICK if quick else SUITES[suite]
    found = [c for c in known if not patterns or any(fnmatch.fnmatch(c.name, p) for p in patterns)]
    if known and not found:
        remedy = f"known: {', '.join(case.name for case in known)}"
        rule = f"a pattern that matches a case of {suite}"
        raise ValueError(expected("bench", rule, Words(", ".join(patterns)), remedy))
    return found

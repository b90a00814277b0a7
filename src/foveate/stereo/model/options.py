"""The numbers of a stereo network, and presets for images of hundreds of pixels and of 64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from foveate.core import check_positive_int, expected, suggest

_WHO = "stereo_options"


@dataclass(frozen=True)
class HeadOptions:
    """Numbers of the head.

    Attributes:
        levels: Maps of the backbone in the pyramid, the coarsest ones; the finest of them is where
            views are matched: at a quarter of the size with four of a ResNet, an eighth with three.
        channels: Of the pyramid.
        features: Channels that are correlated.
        hidden: Channels of the recurrent state.
        context: Channels of what the left view adds to every step.
        correlation_levels: Of the pyramid of correlations.
        radius: Of what is looked up, in cells of each of its levels.
        reach: The largest disparity that the first guess looks at, in cells; the steps after it
            go beyond.
        iterations: Steps in training.

    Raises:
        TypeError: If one is no integer.
        ValueError: If one is too small.
    """

    levels: int = 4
    channels: int = 128
    features: int = 128
    hidden: int = 128
    context: int = 128
    correlation_levels: int = 4
    radius: int = 4
    reach: int = 48
    iterations: int = 12

    def __post_init__(self) -> None:
        for field in fields(self):
            minimum = 2 if field.name == "hidden" else 1
            check_positive_int(_WHO, field.name, getattr(self, field.name), minimum=minimum)

    def changed(self, values: Mapping[str, Any]) -> HeadOptions:
        """Return a copy in which some numbers are others.

        Raises:
            ValueError: If there is no such number.
        """
        known = [field.name for field in fields(self)]
        for name in values:
            if name not in known:
                raise ValueError(expected(_WHO, "a known option", name, suggest(name, known)))
        return replace(self, **values)


PRESETS = {
    "base": HeadOptions(),
    "small": HeadOptions(
        channels=32,
        features=32,
        hidden=32,
        context=32,
        correlation_levels=2,
        radius=3,
        reach=8,
        iterations=5,
    ),
}
"""For images of hundreds of pixels on a GPU, and of 64 to 128 pixels on a CPU."""

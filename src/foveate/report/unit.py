"""In what scores are told: percent of a fraction, or pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """How a score becomes a number that people read.

    Attributes:
        name: What follows the number.
        gaps: What follows a difference.
        scale: What a score is multiplied by.
        top: The largest number there is.
        long: What differences are in, in full.
        digits: How many digits descriptions of charts have.
    """

    name: str
    gaps: str
    scale: float
    top: float
    long: str
    digits: int

    def of(self, value: float, sign: bool = False) -> str:
        """A score, or with a sign a difference, with two digits and a true minus sign.

        Example:
            >>> PERCENT.of(0.1234, sign=True), PIXELS.of(1.5)
            ('+12.34', '1.50')
        """
        shown = self.scale * value
        return (f"{shown:+.2f}" if sign else f"{shown:.2f}").replace("-", "\N{MINUS SIGN}")

    def within(self, number: float) -> float:
        """A number in the unit, as far as a score can reach."""
        return max(0.0, min(self.top, number))


PERCENT = Unit("%", "points", 100.0, 100.0, "percentage points", 1)
PIXELS = Unit("px", "px", 1.0, math.inf, "pixels", 2)

"""The free choices of all scores in one place, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foveate.explain.scores.ranking import check_share
from foveate.explain.scores.sfd import check_number, check_sfd

_WHO = "ScoreSettings"


@dataclass(frozen=True)
class ScoreSettings:
    """What has to be said beside a score, because the score moves with it.

    Attributes:
        base: Base of sfd's anti-log, > 1.
        shift: What sfd subtracts from the anti-log, in [0, 1].
        threshold: From where on sfd calls a pixel salient, in [0, 1].
        k: Share of the image that top-k intersection looks at, in (0, 1].
        iou_threshold: From where on IoU calls a pixel salient, in [0, 1].
        tolerance: How many pixels off a hit of the pointing game may be, >= 0.

    Raises:
        TypeError: If one is no number.
        ValueError: If one is out of its range.

    Example:
        >>> ScoreSettings(base=2.0).threshold
        0.5
    """

    base: float = 10.0
    shift: float = 0.0
    threshold: float = 0.5
    k: float = 0.05
    iou_threshold: float = 0.5
    tolerance: float = 0

    def __post_init__(self) -> None:
        check_sfd(_WHO, self.base, self.shift, self.threshold)
        check_share(_WHO, self.k)
        check_number(_WHO, "iou_threshold", self.iou_threshold, 0.0, 1.0)
        check_number(_WHO, "tolerance", self.tolerance, 0.0, math.inf)

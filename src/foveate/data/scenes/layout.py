"""Where everything of a scene lies, before a single pixel is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foveate.data.scenes.options import SceneOptions

CUE_RADIUS = 0.05
"""Radius of the marker, as a share of the side."""

_GAP = 0.02


@dataclass(frozen=True)
class Scene:
    """The layout of one scene; lengths are shares of the side, so that it holds at any size.

    Attributes:
        kind: Index of the object's shape or cut-out class.
        center: Row and column of the object.
        radius: Of the object.
        angle: Of the object, in radians.
        pick: A draw in [0, 1) that chooses among the cut-outs of the class.
        hue: 0 warm, 1 cool: the object's color, which means something with cue ``match`` only.
        cue_center: Row and column of the marker, None without one.
        cue_hue: 0 warm, 1 cool.
        far: Whether the marker was placed far away.
        relation: The cue in force.
    """

    kind: int
    center: tuple[float, float]
    radius: float
    angle: float
    pick: float
    hue: int
    cue_center: tuple[float, float] | None
    cue_hue: int
    far: bool
    relation: str

    @property
    def label(self) -> int:
        """The class, read off the scene: the kind, and what the marker says."""
        if self.relation == "none":
            return self.kind
        told = self.cue_hue if self.relation == "color" else self.cue_hue ^ self.hue
        return 2 * self.kind + told

    @property
    def cue_distance(self) -> float:
        """Distance of the marker from the object's center; 0 without one."""
        return 0.0 if self.cue_center is None else math.dist(self.center, self.cue_center)


def plan_scene(rng: np.random.Generator, label: int, far: bool, options: SceneOptions) -> Scene:
    """Draw the layout of a scene of class ``label``.

    Args:
        rng: Source of the draws; a fixed number of them, whatever the options.
        label: The class to show.
        far: Whether the marker shall lie far away.
        options: What was asked.
    """
    draws = rng.random(7)
    spots = rng.random((64, 2))
    kind, variant = divmod(label, len(options.variants))
    radius = options.scale / 2 * (0.8 + 0.4 * float(draws[0]))
    inner = 1 - 2 * radius - 2 * _GAP
    center = (
        float(radius + _GAP + inner * draws[1]),
        float(radius + _GAP + inner * draws[2]),
    )
    hue = int(draws[3] < 0.5)
    cue_hue = variant ^ hue if options.relation == "match" else variant
    cue_center = None
    if options.relation != "none":
        cue_center = _place_cue(center, radius, far, spots, options.reach)
    return Scene(
        kind=kind,
        center=center,
        radius=radius,
        angle=2 * math.pi * float(draws[4]),
        pick=float(draws[5]),
        hue=hue,
        cue_center=cue_center,
        cue_hue=cue_hue,
        far=far and cue_center is not None,
        relation=options.relation,
    )


def _place_cue(
    center: tuple[float, float],
    radius: float,
    far: bool,
    spots: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    reach: float,
) -> tuple[float, float]:
    """Place the marker beside the object, or at least ``reach`` away, inside the image."""
    low, high = CUE_RADIUS + _GAP / 2, 1 - CUE_RADIUS - _GAP / 2
    if far:
        places = low + (high - low) * spots
        # The corners come last: the farthest of them is always far enough.
        corners = [(y, x) for y in (low, high) for x in (low, high)]
        corners.sort(key=lambda corner: -math.dist(center, corner))
        candidates = [(float(y), float(x)) for y, x in places] + corners
        return next(spot for spot in candidates if math.dist(center, spot) >= reach)
    distance = radius + CUE_RADIUS + _GAP
    start = 2 * math.pi * float(spots[0, 0])
    angles = [start + turn * math.pi / 8 for turn in range(16)]
    ring = [
        (center[0] + distance * math.sin(angle), center[1] + distance * math.cos(angle))
        for angle in angles
    ]
    # Some spot fits: even beside the largest object, the wider half of the image has room.
    return next(spot for spot in ring if low <= min(spot) and max(spot) <= high)

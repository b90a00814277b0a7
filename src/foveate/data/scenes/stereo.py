"""Generated stereo pairs: textured shapes at their own depths before a slanted background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.core import Words, check_choice, check_positive_int, expected
from foveate.data.pairs import StereoDataset, StereoSample
from foveate.data.samples import check_index
from foveate.data.scenes.layers import Layer, disparity_of, paint_view, reach_of
from foveate.data.scenes.shapes import SHAPES, Plane
from foveate.data.scenes.texture import paint_texture

_WHO = "stereo scenes"
_SPLITS = ("train", "val")
_COUNTS = {"train": 1000, "val": 200}
# After the three purposes of the scenes, so that no draw of theirs is used again.
_PAIR = 3
_STEEPEST = 0.9
"""Change of the disparity by pixel: from 1 on, the right view would show a surface mirrored."""
_NEAR = 0.3
"""Share of the largest disparity from which the shapes begin; the background lies below it."""


@dataclass(frozen=True)
class StereoOptions:
    """Options of the generated pairs.

    Attributes:
        max_disparity: In pixels, above 0; what is nearest has less than it.
        pieces: How many shapes, each within a depth of its own, so that none cuts another.
        slant: 0: everything faces the cameras; 1: as slanted as its depth has room for.
        texture: Contrast in (0, 2]; what has no texture cannot be matched.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If it lies outside its range.
    """

    max_disparity: float = 16.0
    pieces: int = 8
    slant: float = 0.5
    texture: float = 1.0

    def __post_init__(self) -> None:
        check_positive_int(_WHO, "pieces", self.pieces, minimum=0)
        _check_range("max_disparity", self.max_disparity, 0.5, 1000)
        _check_range("slant", self.slant, 0, 1)
        _check_range("texture", self.texture, 0.05, 2)


class StereoScenes(StereoDataset):
    """Generated pairs with exact disparity, each a pure function of seed, split and index.

    Args:
        split: ``"train"`` or ``"val"``, which never share a pair.
        size: Rows, at least 24.
        width: Columns, at least 24; None is one and a half times the rows.
        seed: At least 0; another seed gives other pairs.
        count: Number of pairs; None is 1000 for train and 200 for val.
        options: What to show.

    Raises:
        TypeError: If a number is none.
        ValueError: If one is too small, or the split is unknown.

    Example:
        >>> pair = StereoScenes("train", size=32)[0]
        >>> pair.left.shape, pair.disparity.shape, bool(pair.disparity.max() < 16)
        (torch.Size([3, 32, 48]), torch.Size([32, 48]), True)
    """

    def __init__(
        self,
        split: str,
        *,
        size: int = 64,
        width: int | None = None,
        seed: int = 0,
        count: int | None = None,
        options: StereoOptions | None = None,
    ) -> None:
        check_choice(_WHO, "split", split, _SPLITS)
        self.split = split
        self.size = check_positive_int(_WHO, "size", size, minimum=24)
        self.width = (
            self.size * 3 // 2
            if width is None
            else check_positive_int(_WHO, "width", width, minimum=24)
        )
        self.seed = check_positive_int(_WHO, "seed", seed, minimum=0)
        self.count = _COUNTS[split] if count is None else check_positive_int(_WHO, "count", count)
        self.options = options or StereoOptions()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> StereoSample:
        index = check_index(index, len(self))
        layers = self.plan(index)
        y, x = self.centers
        disparity, hidden = disparity_of(layers, y, x, self.width)
        left, right = (_pixels(paint_view(layers, y, x, right=view)) for view in (False, True))
        return StereoSample(
            left=left,
            right=right,
            disparity=torch.from_numpy(disparity.astype(np.float32)),
            valid=torch.ones(self.size, self.width, dtype=torch.bool),
            occluded=torch.from_numpy(hidden),
            index=index,
            name=self.name_of(index),
        )

    def name_of(self, index: int) -> str:
        """Return ``stereo/``, the split and the place."""
        return f"stereo/{self.split}/{check_index(index, len(self)):06d}"

    @property
    def centers(self) -> tuple[Plane, Plane]:
        """The centers of the pixels: rows (H, 1) and columns (1, W)."""
        return np.arange(self.size)[:, None] + 0.5, np.arange(self.width)[None] + 0.5

    def plan(self, index: int) -> list[Layer]:
        """Return the layers of a pair, from far to near."""
        key = (_SPLITS.index(self.split), _PAIR, check_index(index, len(self)))
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key)))
        layers = [self._background(rng)]
        for place in range(self.options.pieces):
            layers.append(self._piece(rng, place))
        return layers

    def _background(self, rng: np.random.Generator) -> Layer:
        asked, (across, down, room) = self.options, rng.random(3).tolist()
        # At every pixel between 0 and where the shapes begin; nearer below, as ground is.
        half = asked.max_disparity * _NEAR / 2
        share = 0.5 + 0.5 * down
        level = asked.slant * half * (1 - share) * (2 * across - 1) / (self.width / 2)
        slant = (
            max(-_STEEPEST, min(level, _STEEPEST)),
            asked.slant * half * share / (self.size / 2),
        )
        free = half * (1 - asked.slant)
        # The right view sees beyond the right edge of the left one.
        reach = math.ceil(asked.max_disparity) + 1
        side = max(self.size, self.width + 2 * reach)
        side += (side - self.width) % 2
        return Layer(
            shape=None,
            center=(self.size / 2, self.width / 2),
            radius=0.0,
            angle=0.0,
            disparity=half + free * (2 * room - 1),
            slant=slant,
            texture=_texture(rng, side, asked.texture),
        )

    def _piece(self, rng: np.random.Generator, place: int) -> Layer:
        asked, draws = self.options, rng.random(9).tolist()
        radius = self.size * (0.12 + 0.28 * draws[0])
        band = asked.max_disparity * (1 - _NEAR) / asked.pieces
        middle = asked.max_disparity * _NEAR + band * (place + 0.5)
        # A slant takes up as much of the band as it changes over the shape, the rest is free.
        slope = min(asked.slant * band / 2 / reach_of(radius), _STEEPEST)
        across, down = (1 if draw < 0.5 else -1 for draw in draws[7:9])
        share = draws[1]
        return Layer(
            shape=tuple(SHAPES)[int(draws[3] * len(SHAPES))],
            center=(draws[4] * self.size, draws[5] * self.width),
            radius=radius,
            angle=2 * math.pi * draws[6],
            disparity=middle + (1 - asked.slant) * band / 2 * (2 * draws[2] - 1),
            slant=(across * slope * share, down * slope * (1 - share)),
            texture=_texture(rng, 2 * math.ceil(reach_of(radius)) + 1, asked.texture),
        )


def _texture(rng: np.random.Generator, side: int, contrast: float) -> Plane:
    """Noise down to a few pixels, of which every place looks different from its neighbors."""
    octaves = [(max(2, round(side / pixels)), 0.3) for pixels in (24, 12, 7, 4)]
    return paint_texture(rng, side, contrast, octaves)


def _pixels(canvas: Plane) -> Tensor:
    return torch.from_numpy(np.rint(canvas * 255).astype(np.uint8))


def _check_range(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        got = Words(f"{value!r} ({type(value).__name__})")
        raise TypeError(expected(_WHO, f"a number {name}", got))
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(expected(_WHO, f"{name} in [{low:g}, {high:g}]", value))

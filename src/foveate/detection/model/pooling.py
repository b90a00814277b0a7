"""Cut boxes out of the maps of a pyramid, fast where maps are small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from foveate.core import require

SMALL = 1024
"""Cells of a map up to which two matrix products beat gathering single cells, on a CPU."""


class RegionPooling(nn.Module):
    """RoIAlign on the level of a pyramid that suits the size of each box.

    The strides of the levels are given, not guessed from the first batch: an image much smaller
    than the batch that it is padded to would mislead a guess.

    Source: He et al., Mask R-CNN, arXiv:1703.06870 (RoIAlign, without its half-cell shift), and
    Lin et al., Feature pyramid networks, arXiv:1612.03144, equation 1 (the level).

    Args:
        strides: Pixels of the image to a cell, for each level; powers of two.
        side: Cells of a pooled map, S.
        samples: Samples along each side of such a cell.

    Shape:
        - maps: by ``"0"``, ``"1"``, ...: (N, C, H_i, W_i); others are not looked at
        - boxes: for each image (R_i, 4), x1 y1 x2 y2 in pixels
        - output: (R, C, S, S), the boxes of all images one after the other
    """

    def __init__(self, strides: Sequence[int], side: int, samples: int = 2) -> None:
        super().__init__()
        poolers: Any = require("torchvision.ops.poolers", "models", "create_detector")
        ops: Any = require("torchvision.ops", "models", "create_detector")
        self.strides, self.side, self.samples = tuple(strides), side, samples
        steps = [stride.bit_length() - 1 for stride in strides]
        self._level_of = poolers.LevelMapper(steps[0], steps[-1], 224, 4)
        self._roi_align = ops.roi_align

    def forward(
        self, maps: Mapping[str, Tensor], boxes: list[Tensor], sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """Return the pooled maps; ``sizes`` of the images are not needed."""
        images = torch.cat([one.new_full((len(one),), i) for i, one in enumerate(boxes)])
        everything, levels = torch.cat(boxes), self._level_of(boxes)
        parts: list[Tensor] = []
        places: list[Tensor] = []
        for level, stride in enumerate(self.strides):
            here = torch.where(levels == level)[0]
            # Of none at all once, so that there is always a result.
            if len(here) or not (parts or level < len(self.strides) - 1):
                found = self._pool(maps[str(level)], images[here], everything[here], 1 / stride)
                parts.append(found)
                places.append(here)
        # Small objects lie on one level all, and then nothing need be put in order.
        return parts[0] if len(parts) == 1 else torch.cat(parts)[torch.cat(places).argsort()]

    def _pool(self, features: Tensor, images: Tensor, boxes: Tensor, scale: float) -> Tensor:
        if features.is_cpu and features.shape[2] * features.shape[3] <= SMALL and len(boxes):
            return separable_roi_align(features, images, boxes, scale, self.side, self.samples)
        rois = torch.cat([images[:, None].to(boxes.dtype), boxes], dim=1)
        found: Tensor = self._roi_align(
            features, rois, self.side, spatial_scale=scale, sampling_ratio=self.samples
        )
        return found


def separable_roi_align(
    features: Tensor, images: Tensor, boxes: Tensor, scale: float, side: int, samples: int
) -> Tensor:
    """RoIAlign by two matrix products: what is sampled along y does not depend on x.

    Args:
        features: Maps (N, C, H, W).
        images: Which map each box is cut from, (R,), in ascending order.
        boxes: (R, 4), x1 y1 x2 y2 in pixels.
        scale: Cells to a pixel.
        side: Cells S of the result.
        samples: Samples along each side of such a cell.

    Returns:
        (R, C, S, S), as ``torchvision.ops.roi_align`` returns with ``aligned=False``.
    """
    count, channels, height, width = features.shape
    corners = boxes.to(features.dtype) * scale
    down = _weights(corners[:, 1], corners[:, 3], height, side, samples)
    across = _weights(corners[:, 0], corners[:, 2], width, side, samples)
    # The rows of a map for all of its boxes at once, then the columns for each box.
    lengths = torch.bincount(images.long(), minlength=count).tolist()
    lines = features.permute(0, 2, 1, 3).reshape(count, height, channels * width)
    rows = [
        weights.reshape(-1, height) @ one
        for weights, one in zip(torch.split(down, lengths), lines, strict=True)
        if len(weights)
    ]
    cut = torch.cat(rows).view(len(boxes), side * channels, width) @ across.transpose(1, 2)
    return cut.view(len(boxes), side, channels, side).transpose(1, 2)


def _weights(low: Tensor, high: Tensor, length: int, side: int, samples: int) -> Tensor:
    """How much each of ``length`` cells counts in each of ``side`` parts of an interval, (R, S, L).

    A sample takes its two neighbors by their nearness; the border holds up to one cell outside,
    and beyond lies nothing. A part is the mean of its samples.
    """
    extent = (high - low).clamp(min=1.0)
    offsets = torch.arange(side * samples, dtype=low.dtype, device=low.device) + 0.5
    at = low[:, None] + offsets * (extent / (side * samples))[:, None]
    inside = (at >= -1) & (at <= length)
    at = at.clamp(0, length - 1)
    cells = torch.arange(length, dtype=low.dtype, device=low.device)
    near = (1 - (at[..., None] - cells).abs()).clamp(min=0) * inside[..., None]
    return near.view(len(low), side, samples, length).mean(dim=2)

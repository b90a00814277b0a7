"""The heads: maps of a trunk in, the score of every class in every cell out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from foveate.core import require


class AtrousHead(nn.Module):
    """DeepLabV3: a pyramid of dilated convolutions on the last map.

    The pyramid is torchvision's; names and shapes of the weights are those of its
    ``DeepLabHead``, whose 256 channels are a choice here.

    Source: Chen et al., Rethinking atrous convolution for semantic image segmentation,
    arXiv:1706.05587, section 3.3.

    Args:
        inputs: Channels of the last map.
        classes: Number of classes.
        channels: Channels of the pyramid.
        rates: Dilations of its three convolutions, in cells.

    Shape:
        - maps: the last one is (N, C, h, w)
        - output: (N, classes, h, w)
    """

    def __init__(self, inputs: int, classes: int, channels: int, rates: Sequence[int]) -> None:
        super().__init__()
        vision: Any = require("torchvision.models.segmentation.deeplabv3", "models", "DeepLabV3")
        self.layers = nn.Sequential(
            vision.ASPP(inputs, list(rates), channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, classes, 1),
        )

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the scores in the cells of the last map."""
        scores: Tensor = self.layers(list(maps.values())[-1])
        return scores


class SemanticHead(nn.Module):
    """The semantic branch of Panoptic FPN: all levels brought to the finest and summed.

    A level of s times the finest stride goes through log2(s) steps (one, if s is 1) of a 3x3
    convolution, group norm and ReLU, each but that single one followed by bilinear doubling.

    Source: Kirillov et al., Panoptic feature pyramid networks, arXiv:1901.02446, section 3.

    Args:
        strides: Pixels of the image to a cell, for each level, from fine to coarse.
        inputs: Channels of the pyramid.
        classes: Number of classes.
        channels: Channels of the branch.

    Shape:
        - maps: (N, inputs, H_i, W_i) each
        - output: (N, classes, H_0, W_0)
    """

    def __init__(self, strides: Sequence[int], inputs: int, classes: int, channels: int) -> None:
        super().__init__()
        groups = next(count for count in (32, 16, 8, 4, 2, 1) if channels % count == 0)
        self.branches = nn.ModuleList()
        for stride in strides:
            steps = (stride // strides[0]).bit_length() - 1
            branch = nn.ModuleList()
            for step in range(max(1, steps)):
                branch.append(
                    nn.Sequential(
                        nn.Conv2d(channels if step else inputs, channels, 3, padding=1, bias=False),
                        nn.GroupNorm(groups, channels),
                        nn.ReLU(inplace=True),
                    )
                )
            self.branches.append(branch)
        self.predictor = nn.Conv2d(channels, classes, 1)

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        """Return the scores in the cells of the finest map."""
        levels = list(maps.values())
        size = levels[0].shape[2:]
        brought: list[Tensor] = []
        for place, (level, branch) in enumerate(zip(levels, self.branches, strict=True)):
            for step in branch:  # type: ignore[attr-defined]
                level = step(level)
                if place:
                    level = interpolate(level, scale_factor=2.0, mode="bilinear")
            # Sides that 2 does not divide leave a cell too many or too few.
            if level.shape[2:] != size:
                level = interpolate(level, size=size, mode="bilinear")
            brought.append(level)
        scores: Tensor = self.predictor(torch.stack(brought).sum(dim=0))
        return scores

"""A feature pyramid on a trunk."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from foveate.core import require
from foveate.models.trunk import Trunk

COARSER = {"none": 0, "pool": 1, "convs": 2}
"""What makes coarser maps than those of the trunk, and how many."""


class Pyramid(nn.Module):
    """The maps of a trunk, brought to one number of channels from the coarsest down.

    Source: Lin et al., Feature pyramid networks for object detection, arXiv:1612.03144.

    Args:
        network: The backbone.
        example: Images (N, 3, H, W) of the size that it is for.
        levels: How many maps of the backbone are taken, the coarsest ones.
        channels: Channels of the pyramid.
        coarser: ``"pool"`` adds one map by leaving out cells, ``"convs"`` two by strided
            convolutions (Lin et al., arXiv:1708.02002), ``"none"`` nothing.

    Attributes:
        strides: Pixels of the image to a cell, for every map.
    """

    def __init__(
        self, network: nn.Module, example: Tensor, levels: int, channels: int, coarser: str
    ) -> None:
        super().__init__()
        vision: Any = require("torchvision.ops.feature_pyramid_network", "models", "Pyramid")
        extra = None
        if coarser != "none":
            pool = coarser == "pool"
            extra = vision.LastLevelMaxPool() if pool else vision.LastLevelP6P7(channels, channels)
        self.trunk = Trunk(network, example, levels)
        widths = [level.channels for level in self.trunk.levels]
        self.fpn = vision.FeaturePyramidNetwork(widths, channels, extra_blocks=extra)
        self.out_channels = channels
        own = [level.stride for level in self.trunk.levels]
        self.strides = (*own, *(own[-1] * 2**step for step in range(1, COARSER[coarser] + 1)))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps of the pyramid, from fine to coarse."""
        maps: dict[str, Tensor] = self.fpn(self.trunk(images))
        return maps

"""A feature pyramid on a trunk."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from foveate.core import require
from foveate.detection.model.trunk import Trunk

EXTRA = ("pool", "p6p7")


class Pyramid(nn.Module):
    """The maps of a trunk, brought to one number of channels from the coarsest down.

    Source: Lin et al., Feature pyramid networks for object detection, arXiv:1612.03144.

    Args:
        network: The backbone.
        example: Images (N, 3, H, W) of the size that it is for.
        levels: Maps of the backbone that are taken at most, the coarsest ones.
        channels: Channels of the pyramid.
        extra: What adds coarser maps: ``"pool"`` one, ``"p6p7"`` two by strided convolutions.
    """

    def __init__(
        self, network: nn.Module, example: Tensor, levels: int, channels: int, extra: str
    ) -> None:
        super().__init__()
        ops: Any = require("torchvision.ops.feature_pyramid_network", "models", "create_detector")
        vision: Any = require("torchvision.ops", "models", "create_detector")
        self.trunk = Trunk(network, example, levels)
        widths = [level.channels for level in self.trunk.levels]
        pool = extra == "pool"
        block = ops.LastLevelMaxPool() if pool else ops.LastLevelP6P7(channels, channels)
        self.fpn = vision.FeaturePyramidNetwork(widths, channels, extra_blocks=block)
        self.out_channels = channels
        self.count = len(widths) + (1 if pool else 2)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps of the pyramid, from fine to coarse."""
        maps: dict[str, Tensor] = self.fpn(self.trunk(images))
        return maps

"""A backbone with its gates, and a head that gives every pixel a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from foveate.core import Words, expected


class Segmenter(nn.Module):
    """Scores every class in every pixel.

    Args:
        features: A trunk, or a pyramid on one.
        head: Makes scores of its maps.
        spec: What rebuilds it, see :func:`foveate.segmentation.create_segmenter`.

    Attributes:
        output_stride: Pixels of the image to a cell of the backbone's last map.

    Shape:
        - images: (N, 3, H, W) floating, in [0, 1], of any size
        - output: (N, classes, H, W), logits
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: nn.Module, head: nn.Module, spec: dict[str, Any]) -> None:
        super().__init__()
        self.features, self.head = features, head
        self.foveate_segmenter = spec
        # Part of the recipe, not of what is learned.
        self.register_buffer("mean", _column(spec["mean"]), persistent=False)
        self.register_buffer("std", _column(spec["std"]), persistent=False)

    @property
    def network(self) -> nn.Module:
        """The backbone with its gates; what lies behind its last stage is gone."""
        return self._trunk.network  # type: ignore[no-any-return]

    @property
    def stages(self) -> list[str]:
        """The modules of the backbone whose outputs the head sees, from fine to coarse."""
        return [level.path for level in self._trunk.levels]

    @property
    def output_stride(self) -> int:
        """Pixels of the image to a cell of the last map."""
        return int(self._trunk.levels[-1].stride)

    @property
    def _trunk(self) -> Any:
        return getattr(self.features, "trunk", self.features)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores of every class in every pixel.

        Raises:
            ValueError: If the images have another shape or type than stated.
        """
        if images.dim() != 4 or images.shape[1] != 3 or not images.is_floating_point():
            got = Words(f"{tuple(images.shape)} of {images.dtype}")
            remedy = "divide uint8 images by 255"
            raise ValueError(expected("Segmenter", "images (N, 3, H, W) floating", got, remedy))
        scores = self.head(self.features((images - self.mean) / self.std))
        # Whatever the precision of the layers: a resize in half precision shows as steps.
        return interpolate(scores.float(), size=images.shape[2:], mode="bilinear").to(scores.dtype)


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)

"""From images of any sizes to one batch, and boxes back to where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from foveate.core import require

_MULTIPLE = 32
Boxes = dict[str, Tensor]


class Framing(nn.Module):
    """Normalizes images, brings them to a size, and pads them into one batch.

    It stands where torchvision has its transform and returns what that returns, but draws one size
    for a whole batch, so that little is padded, and handles images of one size together.

    Args:
        shorter: Shorter sides in pixels, of which a batch in training draws one; in evaluation the
            last one holds.
        longest: What the longer side may have; then the shorter one has less.
        mean: Of the channels.
        std: Of the same.

    Shape:
        - images: a list of (3, H, W) floating, in [0, 1]
        - output: a batch (N, 3, H', W'), whose sides are multiples of 32, with the sizes of the
          images in it; and the targets with boxes of that size
    """

    def __init__(
        self, shorter: Sequence[int], longest: int, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        images: Any = require("torchvision.models.detection.image_list", "models", "Detector")
        self._batch = images.ImageList
        self.shorter, self.longest = tuple(shorter), longest
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Boxes] | None = None
    ) -> tuple[Any, list[Boxes] | None]:
        """Return the batch and the targets in it."""
        draws = self.training and len(self.shorter) > 1
        place = int(torch.randint(len(self.shorter), ())) if draws else -1
        alike = len({image.shape for image in images}) == 1
        stacks = [torch.stack(list(images))] if alike else [image[None] for image in images]
        framed = [image for stack in stacks for image in self._frame(stack, self.shorter[place])]
        sizes = [(image.shape[1], image.shape[2]) for image in framed]
        batch = self._batch(_padded(framed), sizes)
        if targets is None:
            return batch, None
        moved = [
            {**target, "boxes": _scaled(target["boxes"], image.shape[1:], size)}
            for target, image, size in zip(targets, images, sizes, strict=True)
        ]
        return batch, moved

    def _frame(self, images: Tensor, side: int) -> Tensor:
        """Normalize and resize images (N, 3, H, W)."""
        images = (images - self.mean.to(images.dtype)) / self.std.to(images.dtype)  # type: ignore[operator]
        height, width = images.shape[2:]
        scale = min(side / min(height, width), self.longest / max(height, width))
        if scale == 1:
            return images
        return interpolate(
            images,
            scale_factor=scale,
            mode="bilinear",
            recompute_scale_factor=True,
            align_corners=False,
        )

    def postprocess(
        self,
        found: list[Boxes],
        sizes: Sequence[tuple[int, int]],
        originals: Sequence[tuple[int, int]],
    ) -> list[Boxes]:
        """Bring boxes of the batch back to the sizes of the images; in training there are none."""
        return [
            {**one, "boxes": _scaled(one["boxes"], size, original)}
            for one, size, original in zip(found, sizes, originals, strict=bool(found))
        ]


def _padded(images: Sequence[Tensor]) -> Tensor:
    """Put images into the upper left corners of one batch of zeros."""
    height, width = (
        -(-max(image.shape[axis] for image in images) // _MULTIPLE) * _MULTIPLE for axis in (1, 2)
    )
    if all(image.shape[1:] == (height, width) for image in images):
        return torch.stack(list(images))
    batch = images[0].new_zeros(len(images), images[0].shape[0], height, width)
    for place, image in zip(batch, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return batch


def _scaled(boxes: Tensor, old: Sequence[int], new: Sequence[int]) -> Tensor:
    """Move boxes (M, 4) from an image of size (H, W) to one of another."""
    if tuple(old) == tuple(new):
        return boxes
    down, across = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([across, down, across, down])

"""How images become input: torchvision's transforms on uint8 tensors, normalized per batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from foveate.training.recipe import DataSection

Transform = Callable[[Tensor], Tensor]

# Where training saw random crops, evaluation shows the central 7/8: the usual 224 of 256.
CROP_SHARE = 0.875


def short_side(data: DataSection) -> int:
    """The pixels that evaluation brings the shorter side to before it crops the center."""
    wide = data.augment in ("imagenet", "randaugment")
    return round(data.size / CROP_SHARE) if wide else data.size


def eval_transform(data: DataSection) -> Transform:
    """Return the transform of evaluation: resize the short side, crop the center.

    Returns:
        A function from a uint8 image (3, H, W) to a uint8 image (3, size, size).
    """
    size, short = data.size, short_side(data)
    wide = short > size
    fit = v2.Compose([v2.Resize(short, antialias=True), v2.CenterCrop(size)])

    def transform(image: Tensor) -> Tensor:
        # An image that already fits is not touched: this spares small data sets most of their time.
        return image if not wide and image.shape[-2:] == (size, size) else fit(image)

    return transform


def train_transform(data: DataSection) -> Transform:
    """Return the transform of training, which draws from torch's global generator.

    Returns:
        A function from a uint8 image (3, H, W) to a uint8 image (3, size, size).
    """
    size = data.size
    if data.augment in ("imagenet", "randaugment"):
        steps: list[Transform] = [v2.RandomResizedCrop(size, antialias=True)]
        steps.append(v2.RandomHorizontalFlip())
        if data.augment == "randaugment":
            steps.append(v2.RandAugment())
        crop: Transform = v2.Compose(steps)
        return crop
    fit = eval_transform(data)
    more: list[Transform] = []
    if data.augment == "crop_flip":
        more.append(v2.RandomCrop(size, padding=4))
    if data.augment in ("flip", "crop_flip"):
        more.append(v2.RandomHorizontalFlip())
    if not more:
        return fit
    change: Transform = v2.Compose(more)
    return lambda image: change(fit(image))


def normalize(images: Tensor, data: DataSection) -> Tensor:
    """Scale a uint8 batch (N, 3, H, W) to [0, 1], subtract the mean, divide by the deviation."""
    mean = torch.tensor(data.mean, device=images.device).view(1, -1, 1, 1)
    std = torch.tensor(data.std, device=images.device).view(1, -1, 1, 1)
    return images.float().div(255).sub(mean).div(std)

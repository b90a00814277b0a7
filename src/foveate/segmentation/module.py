"""Segmentation as a task: the loss of a batch, and what is found in whole images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from foveate.core import Words, expected
from foveate.segmentation.batches import Batch, resized_image
from foveate.segmentation.data.samples import IGNORED
from foveate.segmentation.recipe import SegmentationRecipe
from foveate.segmentation.tallies import MapTallies
from foveate.training.trainee import Columns, Trainee


class SegmenterTrainee(Trainee):
    """Trains a segmenter by a recipe.

    Args:
        network: What :func:`foveate.segmentation.create_segmenter` makes.
        recipe: How to train it.
        classes: Names of the classes.

    Raises:
        ValueError: If there is not one class weight for each class.
    """

    tallies: MapTallies
    recipe: SegmentationRecipe

    def __init__(
        self, network: nn.Module, recipe: SegmentationRecipe, classes: Sequence[str]
    ) -> None:
        super().__init__(network, recipe, MapTallies(classes))
        given = recipe.train.class_weights
        if given and len(given) != len(classes):
            rule = f"a weight for each of {len(classes)} classes"
            raise ValueError(expected("train.class_weights", rule, Words(len(given))))
        self._weights = torch.tensor(given) if given else None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor | None:
        """Return the loss of a batch; one that too few images are left of is left out.

        Batch norms over a map of one pixel, as in DeepLabV3's pooling, need two images.
        """
        self._note_unreadable(batch)
        if len(batch["images"]) < min(2, self.recipe.train.batch_size):
            return self._nothing()
        logits = self.network(as_input(torch.stack(batch["images"])))
        truth = torch.stack(batch["maps"]).long()
        weights = None if self._weights is None else self._weights.to(logits)
        smoothing = self.recipe.train.label_smoothing
        loss = pixel_loss(logits, truth, weights, smoothing)
        self.tallies.trained(loss, len(truth))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add what is found in a batch."""
        self._note_unreadable(batch)
        longest = self.recipe.data.max_size
        chosen = [place for place, counts in enumerate(batch["counted"]) if counts]
        images, maps = ([batch[name][place] for place in chosen] for name in ("images", "maps"))
        for places, logits in scored(self.kept, images, longest):
            truth = torch.stack([maps[place] for place in places]).long()
            # Without weights and smoothing, so that recipes can be compared.
            loss = cross_entropy(logits.float(), truth, ignore_index=IGNORED, reduction="sum")
            self.tallies.validated(logits.argmax(dim=1), truth, loss)

    def named(self, row: Columns) -> dict[str, float | None]:
        """Return the scores; null where no pixel was judged."""
        names = ("miou", "pixel_accuracy", "loss")
        values = {name: row[f"val_{name}"] for name in names}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


def pixel_loss(
    logits: Tensor, truth: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy of the pixels that are not ignored, weighted by class; 0 if none weighs.

    Args:
        logits: (N, K, H, W).
        truth: (N, H, W) int64.
        weights: (K,).
        smoothing: Share of the target that is spread over all classes.
    """
    judged = truth[truth != IGNORED]
    # A mean over pixels that weigh nothing is none.
    if not judged.numel() or (weights is not None and not bool(weights[judged].any())):
        return logits.float().sum() * 0
    return cross_entropy(
        logits.float(), truth, weights, ignore_index=IGNORED, label_smoothing=smoothing
    )


def scored(
    network: nn.Module, images: Sequence[Tensor], longest: int
) -> Iterator[tuple[list[int], Tensor]]:
    """Score whole images, those of one size together.

    Args:
        network: A segmenter.
        images: (3, H, W) uint8 each, of any sizes.
        longest: What the longer side may have in pixels; larger images are shown shrunk.

    Yields:
        The places of some images, and their logits (N, K, H, W) in their own pixels.
    """
    sizes: dict[tuple[int, ...], list[int]] = {}
    for place, image in enumerate(images):
        sizes.setdefault(tuple(image.shape[1:]), []).append(place)
    for (height, width), places in sizes.items():
        factor = min(1.0, longest / max(height, width))
        shown = [images[place] for place in places]
        if factor < 1:
            small = (max(1, round(height * factor)), max(1, round(width * factor)))
            shown = [resized_image(image, *small) for image in shown]
        logits = network(as_input(torch.stack(shown)))
        if factor < 1:
            logits = interpolate(logits.float(), size=(height, width), mode="bilinear")
        yield places, logits


def as_input(images: Tensor) -> Tensor:
    """Turn (N, 3, H, W) uint8 images into what a segmenter takes: float32 in [0, 1]."""
    return images.float() / 255

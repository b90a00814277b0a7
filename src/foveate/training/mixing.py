"""Mixup and CutMix of batches, drawn from nothing but the recipe and the batch's place.

Sources: Zhang et al., mixup, arXiv:1710.09412; Yun et al., CutMix, arXiv:1905.04899. The work is
torchvision's.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.transforms import v2

from foveate.training.draws import draws_of, mix
from foveate.training.recipe import TrainSection


class Mixing:
    """Mixes the images and labels of a batch.

    Args:
        train: Its ``mixup`` and ``cutmix`` count.
        classes: Number of classes.
        seed: Of the run.
    """

    def __init__(self, train: TrainSection, classes: int, seed: int) -> None:
        kinds = [
            kind(alpha=alpha, num_classes=classes)
            for kind, alpha in ((v2.MixUp, train.mixup), (v2.CutMix, train.cutmix))
            if alpha > 0
        ]
        self._change = v2.RandomChoice(kinds) if len(kinds) > 1 else next(iter(kinds), None)
        self._seed = seed

    def __bool__(self) -> bool:
        """Whether batches change at all."""
        return self._change is not None

    def __call__(
        self, images: Tensor, labels: Tensor, *, step: int, rank: int
    ) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            images: (N, 3, H, W), floating.
            labels: (N,) int64.
            step: Place of the batch in the run.
            rank: Of the process.

        Returns:
            Images of the same shape, and the share of every class, (N, classes).
        """
        if self._change is None:
            return images, labels
        with draws_of(mix(self._seed, step, rank)):
            mixed, shares = self._change(images, labels)
        return mixed, shares

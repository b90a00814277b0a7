"""From a data set of pairs to batches: crops of one size in training, whole pairs in evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from foveate.data import Unreadable
from foveate.data.pairs import StereoDataset, StereoSample
from foveate.stereo.data import open_stereo
from foveate.stereo.recipe import StereoDataSection, StereoRecipe
from foveate.training.data_module import KeyedData
from foveate.training.shown import Shown, parted

Batch = dict[str, Any]


def open_pairs(data: StereoDataSection) -> tuple[StereoDataset, StereoDataset]:
    """Open the training and the validation pairs of a recipe.

    Raises:
        FileNotFoundError: If they are not there.
        ValueError: If pairs are incomplete, or an option is wrong.
    """
    train, val = (
        open_stereo(
            data.source,
            split,
            size=data.size,
            width=data.width,
            seed=data.seed,
            limit=limit,
            **data.options,
        )
        for split, limit in (("train", data.limit_train), ("val", data.limit_val))
    )
    return train, val


def cropped(
    sample: StereoSample, height: int, width: int, flip: bool = False
) -> StereoSample | Unreadable:
    """Cut the same window out of both views, at a place that torch's global generator draws.

    Args:
        sample: A pair.
        height: Rows of the window.
        width: Its columns.
        flip: Whether to turn every other pair upside down.
    """
    rows, columns = sample.disparity.shape
    if rows < height or columns < width:
        reason = f"{columns}x{rows} is smaller than the crops of {width}x{height}"
        return Unreadable(sample.index, sample.name, reason)
    top, left = (
        int(torch.randint(spare + 1, ())) if spare else 0
        for spare in (rows - height, columns - width)
    )
    over = flip and bool(torch.rand(()) < 0.5)

    def cut(map_: Tensor) -> Tensor:
        window = map_[..., top : top + height, left : left + width]
        return window.flip(-2) if over else window

    hidden = sample.occluded
    return replace(
        sample,
        left=cut(sample.left),
        right=cut(sample.right),
        disparity=cut(sample.disparity),
        valid=cut(sample.valid),
        occluded=None if hidden is None else cut(hidden),
    )


def as_batch(items: Sequence[tuple[StereoSample | Unreadable, bool]]) -> Batch:
    """Put pairs into the plain types that every accelerator and worker process can move.

    Returns:
        Lists ``left``, ``right``, ``disparity``, ``valid`` and ``occluded`` (None where unknown),
        ``indices``, ``counted`` and ``unreadable``.
    """
    samples, said = parted(items)
    names = ("left", "right", "disparity", "valid", "occluded")
    return {
        **{name: [getattr(sample, name) for sample in samples] for name in names},
        "indices": [sample.index for sample in samples],
        **said,
    }


def views(batch: Batch, place: torch.device | None = None) -> Iterator[tuple[list[int], Tensor]]:
    """Put the pairs of one size together.

    Args:
        batch: Of :func:`as_batch`.
        place: Where to; None leaves them.

    Yields:
        The places in the batch, and (2, N, 3, H, W) float32 in [0, 1]: left views, right views.
    """
    by_size: dict[torch.Size, list[int]] = {}
    for number, image in enumerate(batch["left"]):
        by_size.setdefault(image.shape, []).append(number)
    for numbers in by_size.values():
        both = torch.stack(
            [torch.stack([batch[name][one] for one in numbers]) for name in ("left", "right")]
        )
        yield numbers, both.to(place).float() / 255


def found_in(
    network: nn.Module,
    batch: Batch,
    iterations: int | None = None,
    place: torch.device | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """Let a network in evaluation mode look at a batch; yields place in it and (H, W) in pixels."""
    for numbers, (left, right) in views(batch, place):
        yield from zip(numbers, network(left, right, iterations), strict=True)


class PairData(KeyedData):
    """The pairs of a recipe for Lightning.

    Args:
        recipe: Its ``data`` section, ``seed`` and batch size count.
        data: Data sets (train, val) that are open already; otherwise they are opened here.
    """

    train_set: StereoDataset
    val_set: StereoDataset
    recipe: StereoRecipe

    def __init__(
        self, recipe: StereoRecipe, data: tuple[StereoDataset, StereoDataset] | None = None
    ) -> None:
        super().__init__(recipe, *(data or open_pairs(recipe.data)), collate=as_batch)

    def learnt(self) -> Shown:
        """Return crops of the pairs of training."""
        data = self.recipe.data
        flip = data.augment == "flip"
        change = partial(cropped, height=data.size, width=data.width, flip=flip)
        return Shown(self.train_set, change, self.recipe.seed, self.desks)

    def judged(self) -> Shown:
        """Return the pairs of evaluation as they are."""
        return Shown(self.val_set, desks=self.val_desks)

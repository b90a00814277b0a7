"""In which order an epoch visits the images: a function of seed, epoch and place alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from foveate.training.draws import mix

# Blocks (shards) that are shuffled together: more mix better, and ask for more of them at hand.
BLOCKS_AT_ONCE = 4

Key = tuple[int, int, bool]


def order_of(
    seed: int, epoch: int, length: int, blocks: Sequence[range] | None = None
) -> list[int]:
    """Return the order in which an epoch visits ``length`` images.

    Args:
        seed: Of the run.
        epoch: From 0.
        length: How many images there are.
        blocks: Places that lie together, as shards do. They are visited a few at a time, in a new
            order every epoch; None shuffles all images at once.

    Example:
        >>> sorted(order_of(0, 1, 6, [range(0, 3), range(3, 6)]))
        [0, 1, 2, 3, 4, 5]
    """
    generator = torch.Generator().manual_seed(mix(seed, epoch, -1))
    if blocks is None:
        return torch.randperm(length, generator=generator).tolist()
    ranked = torch.randperm(len(blocks), generator=generator).tolist()
    order: list[int] = []
    for first in range(0, len(ranked), BLOCKS_AT_ONCE):
        chosen = ranked[first : first + BLOCKS_AT_ONCE]
        together = [place for block in chosen for place in blocks[block]]
        shuffle = torch.randperm(len(together), generator=generator).tolist()
        order += [together[place] for place in shuffle]
    return order


class EpochSampler(Sampler[Key]):
    """Keys (epoch, index, counted) of this process's share of an epoch.

    In training with several processes the shares are cut to equal length; in evaluation they are
    filled up with images marked as not counted, so that each image counts exactly once.

    Args:
        length: How many images there are.
        seed: Of the run.
        shuffle: Whether to shuffle, for training.
        rank: Of this process.
        world: How many processes there are.
        blocks: See :func:`order_of`; a process then takes a stretch of the order, so that it reads
            few blocks, instead of every ``world``-th place of it.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        *,
        shuffle: bool,
        rank: int,
        world: int,
        blocks: Sequence[range] | None = None,
    ) -> None:
        self.length, self.seed, self.shuffle = length, seed, shuffle
        self.rank, self.world, self.blocks = rank, world, blocks
        self.epoch = 0
        self._start = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this."""
        self.epoch = epoch

    def start_at(self, epoch: int, images: int) -> None:
        """Go on in ``epoch`` after the first ``images`` of this process's share."""
        self.epoch = epoch
        self._start = (epoch, images)

    def __len__(self) -> int:
        """Count the keys of a whole epoch, wherever this one starts."""
        return self.length // self.world if self.shuffle else -(-self.length // self.world)

    def __iter__(self) -> Iterator[Key]:
        if self.shuffle:
            epoch, done = self._start
            share = self._share(order_of(self.seed, self.epoch, self.length, self.blocks))
            skipped = done if epoch == self.epoch else 0
            yield from ((self.epoch, index, True) for index in share[skipped:])
            return
        for position in range(self.rank, len(self) * self.world, self.world):
            yield self.epoch, min(position, self.length - 1), position < self.length

    def _share(self, order: list[int]) -> list[int]:
        if self.blocks is None:
            return order[self.rank : len(self) * self.world : self.world]
        return order[self.rank * len(self) : (self.rank + 1) * len(self)]

"""Batches in an order that depends on nothing but the recipe.

The order of an epoch comes from (seed, epoch) by a private random state, so it is the same for
every network, for every number of workers, and after a resume, within an epoch too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, Dataset

from foveate.core import expected
from foveate.training.order import EpochSampler
from foveate.training.recipe import Recipe
from foveate.training.workers import Desks, Named


class Images(Named, Protocol):
    """What a data set of any task tells; ``blocks`` is asked for only where there are some."""

    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Count the images."""


class KeyedData(pl.LightningDataModule):  # type: ignore[misc]
    """The images of a run for Lightning; a task says how they are shown.

    Args:
        recipe: Its ``data.workers``, ``seed`` and batch size count.
        train_set: What is trained on.
        val_set: What is validated on, with the same classes.
        collate: Makes a batch of a list of items.
    """

    def __init__(
        self,
        recipe: Recipe,
        train_set: Images,
        val_set: Images,
        collate: Callable[[Sequence[Any]], Any],
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.train_set, self.val_set, self.collate = train_set, val_set, collate
        self.desks, self.val_desks = (Desks(recipe.data.workers) for _ in range(2))
        self._resumed: dict[str, Any] | None = None

    @abstractmethod
    def learnt(self) -> Dataset[Any]:
        """Return the images of training by their keys, augmented."""

    @abstractmethod
    def judged(self) -> Dataset[Any]:
        """Return the images of evaluation by their keys."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels."""
        return self.train_set.classes

    def state_dict(self) -> dict[str, Any]:
        """Return where in the epoch training stands, for a checkpoint."""
        trainer = self.trainer
        done = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        return {
            "epoch": trainer.current_epoch,
            "batches": done,
            "is_whole": done >= trainer.num_training_batches,
            "processes": trainer.world_size,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up training where a checkpoint left it.

        Raises:
            ValueError: If it is within an epoch and was written by another number of processes,
                which had another order.
        """
        self._resumed = state_dict
        if not state_dict["is_whole"] and state_dict["processes"] != self.trainer.world_size:
            raise ValueError(
                expected(
                    "resuming within an epoch",
                    f"the {state_dict['processes']} processes that began it",
                    self.trainer.world_size,
                    "start as many; checkpoints between epochs take any number",
                )
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of training, shuffled, the last short one left out."""
        sampler = self._sampler(self.train_set, shuffle=True)
        if self._resumed is not None:
            epoch, batches = int(self._resumed["epoch"]), int(self._resumed["batches"])
            if self._resumed["is_whole"]:
                epoch, batches = epoch + 1, 0
            # Worker processes ask for their first batches before Lightning sets the epoch.
            sampler.start_at(epoch, batches * self.recipe.train.batch_size)
        return self._loader(self.learnt(), sampler)

    def val_dataloader(self) -> DataLoader[Any]:
        """Return the batches of evaluation, in order, every image once."""
        return self._loader(self.judged(), self._sampler(self.val_set, shuffle=False))

    def _sampler(self, dataset: Images, *, shuffle: bool) -> EpochSampler:
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return EpochSampler(
            len(dataset),
            self.recipe.seed,
            shuffle=shuffle,
            rank=rank,
            world=world,
            blocks=getattr(dataset, "blocks", None),
        )

    def _loader(self, dataset: Dataset[Any], sampler: EpochSampler) -> DataLoader[Any]:
        size, workers = self.recipe.train.batch_size, self.recipe.data.workers
        return DataLoader(
            dataset,
            batch_size=size,
            sampler=sampler,
            num_workers=workers,
            collate_fn=self.collate,
            # A short last batch would weigh its images more, and one image breaks batch norm.
            drop_last=sampler.shuffle and len(sampler) >= size,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.recipe.seed),
        )

"""A data set by key, as every task but classification shows it, and one look through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from foveate.core.modes import evaluation
from foveate.data import Unreadable
from foveate.training.draws import draws_of, mix
from foveate.training.order import EpochSampler, Key
from foveate.training.workers import Desks, naming

ItemOf = TypeVar("ItemOf")
Tell = Callable[[int, int], None]


class Readable(Protocol):
    """Images with what is to be found in them; an item that cannot be read says so."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, index: int) -> Any:
        """Return a sample, or an ``Unreadable``."""

    def name_of(self, index: int) -> str:
        """Return the name of an image."""


class Shown(Dataset[Any]):
    """A data set by key; in training, changed by draws that depend on the key alone.

    Args:
        source: The images.
        change: Makes another sample of one, by draws from torch's global generator; None leaves
            all as they are.
        seed: Of the run.
        desks: Where worker processes note what they read.
    """

    def __init__(
        self,
        source: Readable,
        change: Callable[[Any], Any] | None = None,
        seed: int = 0,
        desks: Desks | None = None,
    ) -> None:
        self.source, self.change, self.seed = source, change, seed
        self.desks = desks or Desks(0)

    def __getitem__(self, key: Key) -> tuple[Any, bool]:
        epoch, index, counted = key
        with self.desks.reading(index), naming(self.source, index):
            item = self.source[index]
            if isinstance(item, Unreadable) or self.change is None:
                return item, counted
            with draws_of(mix(self.seed, epoch, index)):
                return self.change(item), counted


def parted(
    items: Sequence[tuple[ItemOf | Unreadable, bool]],
) -> tuple[list[ItemOf], dict[str, Any]]:
    """Part what ``Shown`` yields into samples and what batches of every task say of them.

    Returns:
        The readable samples; and ``counted`` (whether each is no filling of the last share) with
        ``unreadable`` (name and reason of the others).
    """
    read = [(item, counted) for item, counted in items if not isinstance(item, Unreadable)]
    lost = [item for item, _ in items if isinstance(item, Unreadable)]
    said = {
        "counted": [counted for _, counted in read],
        "unreadable": [(item.name, item.reason) for item in lost],
    }
    return [item for item, _ in read], said


def look_through(
    network: nn.Module,
    dataset: Readable,
    collate: Callable[[Sequence[Any]], dict[str, Any]],
    see: Callable[[dict[str, Any], torch.device], None],
    *,
    batch_size: int = 1,
    device: str | torch.device | None = None,
    tell: Tell = lambda done, total: None,
) -> dict[str, str]:
    """Show a network, in evaluation mode, every image of a data set once; it is left as it was.

    Args:
        network: What is evaluated.
        dataset: The images.
        collate: Makes a batch, with ``unreadable`` and ``counted`` as of :func:`parted`.
        see: Given each batch that has a readable image, and where the network is.
        batch_size: Images at a time.
        device: Where to compute; by default where the network is.
        tell: Told how many images are done, of how many.

    Returns:
        Reason by name of the images that could not be read.
    """
    home = next(network.parameters()).device
    place = torch.device(device) if device else home
    loader = DataLoader(
        Shown(dataset),
        batch_size=batch_size,
        sampler=EpochSampler(len(dataset), 0, shuffle=False, rank=0, world=1),
        collate_fn=collate,
        generator=torch.Generator(),
    )
    unreadable: dict[str, str] = {}
    done = 0
    with evaluation(network), torch.inference_mode():
        try:
            network.to(place)
            for batch in loader:
                unreadable.update(dict(batch["unreadable"]))
                if batch["counted"]:
                    see(batch, place)
                done += len(batch["counted"]) + len(batch["unreadable"])
                tell(done, len(dataset))
        finally:
            network.to(home)
    return unreadable

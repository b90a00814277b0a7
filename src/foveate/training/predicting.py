"""Images of users, a few at a time, for a trained network to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.core.modes import evaluation
from foveate.data import ImageDataset, Unreadable, open_images
from foveate.training.shown import Tell

FoundOf = TypeVar("FoundOf")


def look_at(
    network: nn.Module,
    sources: Sequence[str | Path],
    find: Callable[[list[Tensor]], Sequence[FoundOf]],
    take: Callable[[str, Tensor, FoundOf], None],
    *,
    limit: int | None = None,
    batch_size: int = 1,
    tell: Tell = lambda done, total: None,
) -> dict[str, str]:
    """Show a network, in evaluation mode, images of files and folders.

    Args:
        network: What looks; images go where it is.
        sources: Image files, folders of images (subfolders too), or what
            ``foveate.data.open_images`` takes.
        find: Given images (3, H, W) uint8 where the network is, what is found in each.
        take: Given the name of an image, the image on the CPU, and what was found in it.
        limit: At most so many images of each source.
        batch_size: Images at a time.
        tell: Told how many images are done, of how many.

    Returns:
        Reason by name of the images that could not be read.

    Raises:
        ValueError: If there is no image.
    """
    datasets = [_open(source, limit) for source in sources]
    places = [(dataset, index) for dataset in datasets for index in range(len(dataset))]
    if not places:
        raise ValueError(expected("predict", "an image to look at", Words("none")))
    home = next(network.parameters()).device
    unreadable: dict[str, str] = {}
    with evaluation(network), torch.inference_mode():
        for first in range(0, len(places), batch_size):
            read: list[tuple[str, Tensor]] = []
            for dataset, index in places[first : first + batch_size]:
                item, name = dataset[index], dataset.name_of(index)
                if isinstance(item, Unreadable):
                    unreadable[name] = item.reason
                else:
                    read.append((name, item.image))
            found = find([image.to(home) for _, image in read]) if read else ()
            for (name, image), one in zip(read, found, strict=True):
                take(name, image, one)
            tell(min(first + batch_size, len(places)), len(places))
    return unreadable


def file_of(number: int, name: str) -> str:
    """A file name for what is found in an image, in letters that every file system takes.

    Example:
        >>> file_of(7, "photos/at sea.jpg")
        '00007-at_sea.png'
    """
    stem = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(name).stem)
    return f"{number:05d}-{stem[:80] or 'image'}.png"


def _open(source: str | Path, limit: int | None) -> ImageDataset:
    """Open all images of a folder, whether its subfolders are classes or not; or another source."""
    whole = f"loose:{source}" if Path(source).is_dir() else source
    return open_images(whole, limit=limit)

"""Find what cannot be read before a long run finds it."""

from __future__ import annotations

from collections.abc import Callable

from foveate.data.samples import ImageDataset, Unreadable


def find_unreadable(
    dataset: ImageDataset, progress: Callable[[int, int], None] | None = None
) -> list[Unreadable]:
    """Read every image once and list those that cannot be read.

    Args:
        dataset: What ``open_dataset`` returned.
        progress: Called after each image with how many are done, and of how many.

    Returns:
        What is unreadable, in the order of the data set.

    Example:
        >>> from foveate.data.sources import open_dataset
        >>> find_unreadable(open_dataset("scenes", "val", size=32, limit=8))
        []
    """
    found: list[Unreadable] = []
    for index in range(len(dataset)):
        item = dataset[index]
        if isinstance(item, Unreadable):
            found.append(item)
        if progress is not None:
            progress(index + 1, len(dataset))
    return found

"""One image with the class of every pixel, and what every data set of such offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from foveate.data import Unreadable
from foveate.data.samples import check_index

IGNORED = 255
"""What a map says of pixels that nobody judges: they add nothing to a loss or a score."""
BACKGROUND = "background"


@dataclass(frozen=True)
class MapSample:
    """A readable image with its class map.

    Attributes:
        image: (3, H, W) uint8.
        classes: (H, W) uint8, the class of each pixel from 0 on, or ``IGNORED``.
        index: Place in the data set.
        name: How users know it.
    """

    image: Tensor
    classes: Tensor
    index: int
    name: str


class MapDataset(ABC):
    """Images with class maps.

    Attributes:
        classes: Names by class, the background first where there is one.
    """

    classes: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int:
        """Count the images."""

    @abstractmethod
    def name_of(self, index: int) -> str:
        """Return the name of an image without reading it."""

    @abstractmethod
    def read(self, index: int) -> tuple[Tensor, Tensor] | Unreadable:
        """Return image and map ``index``, at least 0, of one size, or why it cannot be read."""

    def __getitem__(self, index: int) -> MapSample | Unreadable:
        """Return an image with its map; one that cannot be read is never another.

        Raises:
            IndexError: If there is no such place.
            ValueError: If image and map do not fit each other; the file is named.
        """
        index = check_index(index, len(self))
        found = self.read(index)
        if isinstance(found, Unreadable):
            return found
        return MapSample(*found, index, self.name_of(index))


class KeptMaps(MapDataset):
    """A data set whose items are read once and then kept, for what fits into memory."""

    def __init__(self, source: MapDataset) -> None:
        self.source, self.classes = source, source.classes
        self._kept: dict[int, tuple[Tensor, Tensor] | Unreadable] = {}

    def __len__(self) -> int:
        return len(self.source)

    def name_of(self, index: int) -> str:
        """Return the name in the source."""
        return self.source.name_of(index)

    def read(self, index: int) -> tuple[Tensor, Tensor] | Unreadable:
        """Return what the source read the first time."""
        if index not in self._kept:
            self._kept[index] = self.source.read(index)
        return self._kept[index]

"""Two rectified views with the disparity between them, and what every data set of them has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from foveate.data.samples import Unreadable


@dataclass(frozen=True)
class StereoSample:
    """A readable pair.

    Attributes:
        left: (3, H, W) uint8.
        right: (3, H, W) uint8, rectified: what is at column x of the left view is at x - disparity
            in the same row.
        disparity: (H, W) float32 of the left view in pixels, 0 or more; 0 where nothing is known.
        valid: (H, W) bool, where the disparity is known.
        occluded: (H, W) bool, known pixels that the right view does not show; None if nobody knows.
        index: Place in the data set.
        name: How users know it.
    """

    left: Tensor
    right: Tensor
    disparity: Tensor
    valid: Tensor
    occluded: Tensor | None
    index: int
    name: str


class StereoDataset(ABC):
    """Pairs with disparities; ``dataset[i]`` is a StereoSample or names what is Unreadable.

    Attributes:
        classes: Empty, since disparity has none; runs of every task ask for them.
    """

    classes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Count the pairs."""

    @abstractmethod
    def __getitem__(self, index: int) -> StereoSample | Unreadable:
        """Return a pair, or why it cannot be read; it is never another one."""

    @abstractmethod
    def name_of(self, index: int) -> str:
        """Return the name of a pair, without reading it."""

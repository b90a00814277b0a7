"""The region of an image that a network should look at, and who tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from foveate.data.files import FileDataset
from foveate.data.samples import ImageDataset, Subset, check_index


@dataclass(frozen=True)
class Region:
    """Where the object of a class lies in an image, or why nobody knows.

    Attributes:
        mask: (H, W) bool in pixels of the image as the data set yields it, at least one of them
            True; None where there is no region.
        source: What told it: ``masks``, ``boxes``, ``grounded-sam``, ``override`` or ``none``.
        reason: Why there is no mask, empty where there is one. Equal causes have equal texts, so
            that they can be counted.
        detail: More about this one image, fit for JSON: scores of boxes, the phrases asked for.
    """

    mask: Tensor | None
    source: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


class RegionSource(Protocol):
    """Something that tells regions."""

    def describe(self) -> dict[str, Any]:
        """Return all that its regions depend on, fit for JSON."""

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Return the region of one image.

        Args:
            dataset: Where the image is from.
            index: Its place there.
            image: (3, H, W) uint8, what ``dataset[index].image`` is.
            class_name: The class whose object is meant; None for that of the image's label.
        """


def image_key(dataset: ImageDataset, index: int) -> str:
    """Return the name of an image by which its files are found: its path inside the data set.

    It is the same wherever the data lie, however many images were chosen, and on every system.

    Example:
        >>> from foveate.data import open_images
        >>> image_key(open_images("scenes", size=32, limit=16), 3)
        'scenes/val/000003'
    """
    index = check_index(index, len(dataset))
    if isinstance(dataset, Subset):
        return image_key(dataset.base, dataset.indices[index])
    if isinstance(dataset, FileDataset):
        return dataset.key_of(index)
    return dataset.name_of(index)


def asked_class(dataset: ImageDataset, index: int, class_name: str | None) -> str | None:
    """Return ``class_name``, or the name of the image's own class; None if it has none.

    Example:
        >>> from foveate.data import open_images
        >>> asked_class(open_images("scenes", size=32, limit=16), 0, "cat")
        'cat'
    """
    if class_name:
        return class_name
    label = dataset.labels[check_index(index, len(dataset))]
    return dataset.classes[label] if 0 <= label < len(dataset.classes) else None


def override_path(folder: Path, key: str) -> Path:
    """Return where a mask drawn by hand for the image ``key`` lies.

    Example:
        >>> override_path(Path("masks"), "val/cat/7.jpg").as_posix()
        'masks/val/cat/7.jpg.png'
    """
    parts = [part for part in key.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return folder.joinpath(*parts[:-1], f"{parts[-1]}.png")


class NoRegions:
    """No region of any image, always for the same reason."""

    def __init__(self, reason: str = "no regions were asked for") -> None:
        self.reason = reason

    def describe(self) -> dict[str, Any]:
        """Return the reason."""
        return {"kind": "none", "reason": self.reason}

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Return no region."""
        return Region(None, "none", self.reason)

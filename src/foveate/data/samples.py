"""What a data set yields, and how items become a batch."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from foveate.core import expected


@dataclass(frozen=True)
class Sample:
    """One readable image.

    Attributes:
        image: (3, H, W) uint8 as a data set yields it; a transform may change size and dtype.
        label: Index into the data set's ``classes``.
        index: Place in the data set that yielded it.
        name: Path of the file, or a made name such as ``scenes/train/000012``.
    """

    image: Tensor
    label: int
    index: int
    name: str


@dataclass(frozen=True)
class Unreadable:
    """The place of an image that could not be read, with the reason in words."""

    index: int
    name: str
    reason: str


@dataclass(frozen=True)
class Annotation:
    """Where the deciding things of an image lie.

    Attributes:
        boxes: (B, 4) float32, x1 y1 x2 y2 in pixels, half-open: x2 - x1 is the width.
        labels: (B,) int64, the class of each box.
        mask: (H, W) bool, everything that decides the label: the objects and, where the label
            needs one, the cue.
        masks: (B, H, W) bool, the visible pixels of the object in each box.
        cue: (4,) float32 box of the cue, or None.
        far: Whether the cue lies far from the object, None where there is no cue.
    """

    boxes: Tensor
    labels: Tensor
    mask: Tensor
    masks: Tensor
    cue: Tensor | None = None
    far: bool | None = None


class ImageDataset(TorchDataset["Sample | Unreadable"]):
    """What every data set here has; ``dataset[i]`` is a Sample or names what is Unreadable.

    Attributes:
        classes: Names of the classes; a label indexes them.
        channels: Always 3; grey images are repeated.
    """

    classes: tuple[str, ...]
    channels: int = 3

    @property
    @abstractmethod
    def labels(self) -> Sequence[int]:
        """The label of each image, known without reading it."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample | Unreadable: ...

    def name_of(self, index: int) -> str:
        """Return the name that ``self[index]`` will have, without reading the image."""
        return f"image/{check_index(index, len(self)):05d}"

    @property
    def blocks(self) -> tuple[range, ...] | None:
        """The places whose images lie together on disk, block by block.

        An order that stays within few blocks at a time reads such data well; None means that
        any order is as good as another. The blocks are disjoint and hold every place.
        """
        return None

    def annotation(self, index: int) -> Annotation | None:
        """Return where the deciding things of image ``index`` lie, None if nobody knows."""
        check_index(index, len(self))
        return None


class Subset(ImageDataset):
    """Chosen places of another data set, counted anew from 0."""

    def __init__(self, base: ImageDataset, indices: Sequence[int]) -> None:
        self.base = base
        self.indices = tuple(indices)
        self.classes = base.classes

    @property
    def labels(self) -> Sequence[int]:
        """The label of each chosen image."""
        labels = self.base.labels
        return tuple(labels[index] for index in self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample | Unreadable:
        index = check_index(index, len(self))
        return replace(self.base[self.indices[index]], index=index)

    def name_of(self, index: int) -> str:
        """Return the name of the chosen image."""
        return self.base.name_of(self.indices[check_index(index, len(self))])

    @property
    def blocks(self) -> tuple[range, ...] | None:
        """What is left of each block of the base, as ranges of this subset's places.

        A block whose images are not neighbors in the subset gives several ranges.
        """
        blocks = self.base.blocks
        if blocks is None:
            return None
        starts = [block.start for block in blocks]
        homes = [bisect_right(starts, index) for index in self.indices]
        ends = [
            place
            for place in range(1, len(homes) + 1)
            if place == len(homes) or homes[place] != homes[place - 1]
        ]
        return tuple(range(start, end) for start, end in pairwise([0, *ends]))

    def annotation(self, index: int) -> Annotation | None:
        """Return the annotation of the chosen image."""
        return self.base.annotation(self.indices[check_index(index, len(self))])


def check_index(index: int, length: int) -> int:
    """Return ``index`` as a place in [0, ``length``), negative ones counted from the end.

    Raises:
        IndexError: If there is no such place.
    """
    if not -length <= index < length:
        raise IndexError(expected("dataset", f"an index below {length}", index))
    return index % length


@dataclass
class Batch:
    """Readable images stacked, and what could not be read beside them.

    Attributes:
        images: (B, 3, H, W), the dtype the transform gave; (0, 3, 0, 0) if nothing was readable.
        labels: (B,) int64.
        indices: (B,) int64, places in the data set.
        unreadable: What was left out; never replaced by another image.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    unreadable: list[Unreadable] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch with its tensors on ``device``."""
        return Batch(
            self.images.to(device, non_blocking=non_blocking),
            self.labels.to(device, non_blocking=non_blocking),
            self.indices.to(device, non_blocking=non_blocking),
            self.unreadable,
        )

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; a DataLoader calls this."""
        return Batch(
            self.images.pin_memory(),
            self.labels.pin_memory(),
            self.indices.pin_memory(),
            self.unreadable,
        )


def collate(items: Sequence[Sample | Unreadable]) -> Batch:
    """Stack the samples among ``items`` and list the rest.

    Args:
        items: What a data set yielded, in order.

    Raises:
        ValueError: If the images differ in size.

    Example:
        >>> grey = Sample(torch.zeros(3, 4, 4), label=1, index=0, name="a.png")
        >>> batch = collate([grey, Unreadable(1, "b.png", "empty file (0 bytes)")])
        >>> batch.images.shape, batch.labels.tolist(), batch.unreadable[0].name
        (torch.Size([1, 3, 4, 4]), [1], 'b.png')
    """
    samples = [item for item in items if isinstance(item, Sample)]
    shapes = sorted({tuple(sample.image.shape) for sample in samples})
    if len(shapes) > 1:
        remedy = "resize in the data set's transform"
        raise ValueError(expected("collate", "images of one shape", shapes, remedy))
    images = [sample.image for sample in samples]
    return Batch(
        images=torch.stack(images) if images else torch.zeros(0, 3, 0, 0),
        labels=torch.tensor([sample.label for sample in samples], dtype=torch.int64),
        indices=torch.tensor([sample.index for sample in samples], dtype=torch.int64),
        unreadable=[item for item in items if isinstance(item, Unreadable)],
    )

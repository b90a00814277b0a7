"""Images in a folder with the boxes of an annotation file."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from foveate.data import Unreadable
from foveate.data.files import inside
from foveate.data.images import UnreadableImageError, read_image
from foveate.detection.data.samples import DetectionDataset
from foveate.detection.data.table import BoxTable, Objects, Shown


class BoxFiles(DetectionDataset):
    """The images of an annotation file.

    Args:
        table: The sound part of the file.
        folder: What its names are relative to.
    """

    def __init__(self, table: BoxTable, folder: Path) -> None:
        self.table, self.folder = table, folder
        self.classes = tuple(table.categories.values())
        self.category_ids = tuple(table.categories)
        self.problems = table.problems

    def __len__(self) -> int:
        return len(self.table.images)

    def shown(self, index: int) -> Shown:
        """Return id, name and size of an image."""
        return self.table.images[index]

    def objects_of(self, index: int) -> Objects:
        """Return the objects in an image."""
        return self.table.objects_of(index)

    def read(self, index: int) -> Tensor | Unreadable:
        """Return an image, upright, or why it cannot be read."""
        name = self.name_of(index)
        try:
            return read_image(inside(self.folder, name))
        except FileNotFoundError:
            return Unreadable(index, name, "no such file")
        except UnreadableImageError as error:
            return Unreadable(index, name, str(error))

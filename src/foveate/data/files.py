"""Data sets whose images are files: in a folder, or in the middle of a tar archive."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from foveate.core import Words, expected
from foveate.data.images import UnreadableImageError, image_bytes, read_image
from foveate.data.samples import ImageDataset, Sample, Unreadable, check_index
from foveate.data.tars import TarIndex, read_range


class FileDataset(ImageDataset):
    """A data set whose images are read from the bytes of files."""

    @abstractmethod
    def read_bytes(self, index: int) -> bytes:
        """Return what the file of image ``index``, at least 0, holds.

        Raises:
            OSError: If it cannot be read.
        """

    @abstractmethod
    def key_of(self, index: int) -> str:
        """Return a name of image ``index``, at least 0, that is the same wherever the data lie."""

    def __getitem__(self, index: int) -> Sample | Unreadable:
        index = check_index(index, len(self))
        try:
            image = read_image(self.read_bytes(index))
        except FileNotFoundError:
            return Unreadable(index, self.name_of(index), "no such file")
        except (UnreadableImageError, IsADirectoryError, PermissionError) as error:
            return Unreadable(index, self.name_of(index), str(error))
        return Sample(image, self.labels[index], index, self.name_of(index))

    def original(self, index: int) -> tuple[bytes, str] | None:
        """Return the bytes of an image's file and its suffix, such as ``.jpg``, in lower case.

        None where the image is not the file as it is.

        Raises:
            OSError: If it cannot be read.
        """
        index = check_index(index, len(self))
        return self.read_bytes(index), PurePosixPath(self.key_of(index)).suffix.lower()


class Store(Protocol):
    """Files by name, wherever they lie."""

    def read(self, name: str) -> bytes:
        """Return what the file holds; FileNotFoundError if there is none."""

    def locate(self, name: str) -> str:
        """Return where the file lies, for messages."""


def inside(folder: Path, name: str) -> Path:
    """Return the path of the file of that name in ``folder``.

    Raises:
        FileNotFoundError: If the name leads out of the folder, or no file can have it: an
            annotation file of another hand names files of its own folder, not any of the machine.
    """
    if name.startswith("/") or "\0" in name or ".." in Path(name).parts or Path(name).drive:
        rule = f"the name of a file in {folder}"
        raise FileNotFoundError(expected("annotations", rule, name))
    return folder / name


def holds(folder: Path, name: str) -> bool:
    """Return whether there is such a file in a folder; a name that no file can have is none."""
    try:
        return inside(folder, name).is_file()
    except OSError:
        return False


class FolderStore:
    """The files of a folder, by their path inside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> bytes:
        """Return what the file holds.

        Raises:
            UnreadableImageError: If it is a device, or far too large.
            OSError: If there is no such file in the folder, or it cannot be read.
        """
        return image_bytes(inside(self.folder, name))

    def locate(self, name: str) -> str:
        """Return the path of the file."""
        return str(self.folder / name)


class TarStore:
    """The files in a tar archive, read in place, by their path inside it.

    Args:
        archive: The archive.
        index: Where its members lie.
        folder: The path inside the archive that names are relative to.
    """

    def __init__(self, archive: Path, index: TarIndex, folder: str = "") -> None:
        self.archive, self.index, self.folder = archive, index, folder

    def read(self, name: str) -> bytes:
        """Return what the member holds.

        Raises:
            FileNotFoundError: If the archive has no such member.
            OSError: If the archive itself is gone, may not be read, or ends too early.
        """
        place = self.index.find(self.folder + name)
        if place is None:
            raise FileNotFoundError(self.locate(name))
        try:
            return read_range(self.archive, *self.index.span(place))
        except (FileNotFoundError, PermissionError) as error:
            # Nothing that concerns one image alone, which the data set would leave out.
            rule = "an archive that stays while it is read"
            raise OSError(expected(str(self.archive), rule, Words(error))) from error

    def locate(self, name: str) -> str:
        """Return the path of the archive and that of the member in it."""
        return f"{self.archive}/{self.folder}{name}"


class StoreDataset(FileDataset):
    """Chosen files of a store.

    Args:
        store: Where the files lie.
        keys: Their names in the store.
        labels: The class of each.
        classes: Names of the classes.
    """

    def __init__(
        self, store: Store, keys: Sequence[str], labels: Sequence[int], classes: Sequence[str]
    ) -> None:
        self.store, self.classes = store, tuple(classes)
        # One array instead of a million strings, which worker processes would copy one by one.
        # Surrogates stand in names that are not in UTF-8, and in JSON of another hand.
        self._keys = np.array(
            [key.encode("utf-8", "surrogatepass") for key in keys], dtype=np.bytes_
        )
        self._labels = tuple(labels)

    def key_of(self, index: int) -> str:
        """Return the name of the file in the store."""
        return bytes(self._keys[index]).decode("utf-8", "surrogatepass")

    @property
    def labels(self) -> Sequence[int]:
        """The label of each file."""
        return self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def name_of(self, index: int) -> str:
        """Return where the file lies."""
        return self.store.locate(self.key_of(check_index(index, len(self))))

    def read_bytes(self, index: int) -> bytes:
        """Return what the file holds."""
        return self.store.read(self.key_of(index))

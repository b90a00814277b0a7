"""A folder of images by class: FOLDER/train/CLASS and FOLDER/val/CLASS, or FOLDER/CLASS."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from foveate.core import Words, expected
from foveate.data.coco import read_annotations
from foveate.data.files import FileDataset
from foveate.data.images import EXTENSIONS, image_bytes
from foveate.data.samples import Annotation, check_index
from foveate.data.split import split_places

_WHO = "open_dataset"
_LAYOUT = "lay it out as FOLDER/CLASS/*.png, or FOLDER/train/CLASS and FOLDER/val/CLASS"


def natural_key(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a key that sorts numbers by value, so that ``img9`` comes before ``img10``.

    Example:
        >>> sorted(["img10", "img9", "a"], key=natural_key)
        ['a', 'img9', 'img10']
    """
    parts = re.split(r"([0-9]+)", text.lower())
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
    return tuple(key), text


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders inside ``folder``, naturally sorted."""
    found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: natural_key(path.name))


def image_files(folder: Path, extensions: Sequence[str] = EXTENSIONS) -> list[Path]:
    """Return the visible image files in ``folder`` and below, naturally sorted."""
    found: list[Path] = []
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root, name)
            for name in files
            if not name.startswith(".") and name.lower().endswith(tuple(extensions))
        ]
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


class FolderDataset(FileDataset):
    """Images of a folder by class, each of its own size.

    A folder that holds ``train`` and ``val`` is read as it is; one that holds the classes
    directly is split 80/20 within each class, by a hash of seed and file name. Where
    ``annotations/<split>.json`` exists (as `foveate scenes` writes it), it is served too.

    Args:
        folder: The folder; its classes are its subfolders, naturally sorted.
        split: ``"train"`` or ``"val"``.
        seed: Seed of the split, of no effect where train and val exist.

    Raises:
        ValueError: If it is not a folder, holds no image, has fewer than two classes, a class
            without enough images, or only one of train and val.
    """

    def __init__(self, folder: Path, split: str, seed: int = 0) -> None:
        if not folder.is_dir():
            raise ValueError(expected(_WHO, "a folder of images by class", str(folder), _LAYOUT))
        self.folder, self.split = folder, split
        self.paths: tuple[Path, ...] = ()
        self._labels: tuple[int, ...] = ()
        names = [path.name for path in subfolders(folder)]
        own_splits = {"train", "val"} & set(names)
        if own_splits:
            self._read_splits(names)
        else:
            self._read_classes(seed)
        self._annotations: dict[str, Annotation] | None = None

    def _read_splits(self, names: Sequence[str]) -> None:
        missing = sorted({"train", "val"} - set(names))
        if missing:
            remedy = f"add {self.folder / missing[0]}, or put the classes directly into the folder"
            raise ValueError(
                expected(_WHO, "both train and val in the folder", Words(", ".join(names)), remedy)
            )
        listed = {name: _list_classes(self.folder / name, 1) for name in ("train", "val")}
        self.classes = tuple(listed["train"])
        differ = sorted(set(listed["train"]) ^ set(listed["val"]))
        if differ:
            where = "train" if differ[0] in listed["train"] else "val"
            rule = f"the same classes in train and val of {self.folder}"
            raise ValueError(expected(_WHO, rule, Words(f"{differ[0]!r} in {where} alone")))
        self._take(listed[self.split])

    def _read_classes(self, seed: int) -> None:
        listed = _list_classes(self.folder, 2)
        self.classes = tuple(listed)
        self._take(listed)
        names = [self.key_of(index) for index in range(len(self))]
        places = split_places(self._labels, names, seed)[0 if self.split == "train" else 1]
        self.paths = tuple(self.paths[place] for place in places)
        self._labels = tuple(self._labels[place] for place in places)

    def _take(self, listed: dict[str, list[Path]]) -> None:
        self.paths = tuple(path for name in self.classes for path in listed[name])
        self._labels = tuple(label for label, name in enumerate(self.classes) for _ in listed[name])

    @property
    def labels(self) -> Sequence[int]:
        """The class index of each file's folder."""
        return self._labels

    def __len__(self) -> int:
        return len(self.paths)

    def name_of(self, index: int) -> str:
        """Return the path of the file."""
        return str(self.paths[check_index(index, len(self))])

    def read_bytes(self, index: int) -> bytes:
        """Return what the file holds."""
        return image_bytes(self.paths[index])

    def key_of(self, index: int) -> str:
        """Return the path of the file inside the folder."""
        return self.paths[index].relative_to(self.folder).as_posix()

    def annotation(self, index: int) -> Annotation | None:
        """Return what ``annotations/<split>.json`` says of the image, None without it."""
        index = check_index(index, len(self))
        if self._annotations is None:
            file = self.folder / "annotations" / f"{self.split}.json"
            self._annotations = read_annotations(file, self.classes) if file.is_file() else {}
        return self._annotations.get(self.key_of(index))


def _list_classes(folder: Path, least: int) -> dict[str, list[Path]]:
    """List the images of each class folder.

    Raises:
        ValueError: If there are fewer than two classes, or a class has fewer than ``least``.
    """
    listed = {path.name: image_files(path) for path in subfolders(folder)}
    if not any(listed.values()):
        loose = len(image_files(folder))
        got = f"{folder} with {loose} images and no class folder" if loose else f"none in {folder}"
        kinds = ", ".join(extension[1:] for extension in EXTENSIONS)
        raise ValueError(expected(_WHO, f"images ({kinds}) by class", Words(got), _LAYOUT))
    if len(listed) < 2:
        got = f"only {next(iter(listed))!r} in {folder}"
        raise ValueError(expected(_WHO, "a folder of at least two classes", Words(got), _LAYOUT))
    for name, files in listed.items():
        if len(files) < least:
            rule = f"at least {least} image{'s' if least > 1 else ''} in each class"
            remedy = "add images or remove the folder"
            if least > 1:
                remedy += ", or make train and val folders yourself"
            got = f"{len(files)} in {folder / name}"
            raise ValueError(expected(_WHO, rule, Words(got), remedy))
    return listed

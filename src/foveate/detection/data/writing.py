"""Data sets of boxes written to disk in COCO's layout, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.core import Words, expected
from foveate.core.files import write_json
from foveate.data import Unreadable
from foveate.detection.data.table import Objects, Shown, as_truth


@dataclass(frozen=True)
class WrittenBoxes:
    """What was written.

    Attributes:
        folder: Where; ``open_detection`` opens it.
        images: Images in each split.
        objects: Objects in each split, crowds left out.
        unreadable: Images that were left out because they cannot be read.
    """

    folder: Path
    images: dict[str, int]
    objects: dict[str, int]
    unreadable: list[Unreadable] = field(default_factory=list)


@dataclass
class Split:
    """What a split holds so far.

    Attributes:
        images: Names are relative to the folder.
        objects: Of each image.
        notes: Of each image, what its entry says beyond COCO's format.
    """

    images: list[Shown] = field(default_factory=list)
    objects: list[Objects] = field(default_factory=list)
    notes: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, shown: Shown, objects: Objects, **notes: Any) -> None:
        """Add an image."""
        self.images.append(shown)
        self.objects.append(objects)
        self.notes.append(notes)


@contextmanager
def whole_folder(who: str, out: Path) -> Iterator[Path]:
    """Yield a folder that becomes ``out`` when all went well, and is gone if not.

    Raises:
        ValueError: If ``out`` is a file, or a folder that is not empty.
    """
    out = out.absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        got = Words(f"{out}, {'with content' if out.is_dir() else 'a file'}")
        raise ValueError(expected(who, "a new or empty folder", got, "name another"))
    partial = out.parent / f".{out.name}.{os.getpid()}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_splits(
    who: str,
    root: Path,
    splits: Mapping[str, Split],
    categories: Mapping[int, str],
    info: Mapping[str, Any],
) -> tuple[dict[str, int], dict[str, int]]:
    """Write ``annotations/{split}.json`` of each split.

    Returns:
        Images and objects in each.

    Raises:
        ValueError: If a split has no image.
    """
    empty: Sequence[str] = [name for name, split in splits.items() if not split.images]
    if empty:
        got = Words(f"none in {' and '.join(empty)}")
        raise ValueError(expected(who, "readable images in every split", got))
    for name, split in splits.items():
        tree = as_truth(split.images, split.objects, categories)
        for entry, notes in zip(tree["images"], split.notes, strict=True):
            entry.update(notes)
        write_json(root / "annotations" / f"{name}.json", {"info": dict(info), **tree})
    singles = {
        name: sum(int((~those["crowd"]).sum()) for those in split.objects)
        for name, split in splits.items()
    }
    return {name: len(split.images) for name, split in splits.items()}, singles

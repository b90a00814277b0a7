"""Pascal VOC as a COCO data set on disk."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from foveate.core import Words, expected
from foveate.data.files import holds
from foveate.detection.data.voc import open_voc
from foveate.detection.data.writing import Split, WrittenBoxes, whole_folder, write_splits

_WHO = "convert_voc"


def convert_voc(folder: Path, out: Path, *, seed: int = 0, origin: int = 1) -> WrittenBoxes:
    """Write a folder of Pascal VOC in COCO's layout, which ``open_detection`` opens.

    It holds ``annotations/train.json``, ``annotations/val.json`` and copies of the images as they
    are in ``images``. Everything is written beside ``out`` and moved there at the end. Images that
    are missing are left out; what else was wrong ``open_detection("voc:FOLDER", ...)`` tells.

    Args:
        folder: With ``Annotations/*.xml`` and the images; see ``open_detection``.
        out: A new or empty folder.
        seed: Of the split, where the folder has no lists of its own.
        origin: How the files count pixels, see ``open_voc``.

    Raises:
        FileNotFoundError: If there is no XML file.
        OSError: If it cannot be written.
        ValueError: If ``out`` is not empty, no image or object of a split is sound, or an image
            is in both splits.
    """
    splits, home_of = {"train": Split(), "val": Split()}, dict[str, str]()
    with whole_folder(_WHO, out) as root:
        (root / "images").mkdir()
        for name, split in splits.items():
            dataset = open_voc(folder, name, seed=seed, origin=origin)
            for place, shown in enumerate(dataset.table.images):
                if not holds(dataset.folder, shown.name):
                    continue
                source, copy = dataset.folder / shown.name, f"images/{shown.name}"
                if home_of.setdefault(copy, name) != name:
                    rule = "every image in one split"
                    raise ValueError(expected(_WHO, rule, Words(f"{shown.name} in both")))
                shutil.copyfile(source, root / copy)
                split.add(replace(shown, name=copy), dataset.objects_of(place))
        categories = dataset.table.categories
        images, objects = write_splits(_WHO, root, splits, categories, {"source": folder.name})
    return WrittenBoxes(out, images, objects)

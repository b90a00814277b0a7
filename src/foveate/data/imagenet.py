"""ImageNet-1k as people have it: class folders, flat validation images, or the archives."""

from __future__ import annotations

import os
import re
import tarfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from foveate.core import Words, expected
from foveate.core.reading import read_file
from foveate.data.devkit import Devkit, read_devkit
from foveate.data.files import FolderStore, Store, StoreDataset, TarStore
from foveate.data.images import EXTENSIONS
from foveate.data.matlab import MAT_LIMIT
from foveate.data.samples import ImageDataset
from foveate.data.tars import TAR_DAMAGE, member_bytes, tar_index

CLASSES = 1000
ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
DEVKIT = "ILSVRC2012_devkit_t12"

_WHO = "imagenet"
_WNID = re.compile(r"n\d{8}")
_VAL = re.compile(r"ILSVRC2012_val_(\d{8})\.jpeg", re.IGNORECASE)
_KEPT = "keep it as it is: archives are read in place"


def open_imagenet(root: Path, split: str) -> ImageDataset:
    """Open ImageNet-1k (ILSVRC 2012); its labels are those of published weights.

    Each split may have a form of its own. They are looked for in this order:

    - ``root/train/n01440764/*.JPEG`` and ``root/val/n01440764/*.JPEG``, a folder a class;
    - ``root/val/ILSVRC2012_val_00000001.JPEG`` and so on, and the devkit;
    - ``root/ILSVRC2012_img_train.tar`` (a tar of class tars), ``root/ILSVRC2012_img_val.tar``
      and the devkit, as they were downloaded. They are read in place and never unpacked; the
      first use scans them once and keeps an index beside them.

    The devkit is ``ILSVRC2012_devkit_t12.tar.gz`` or the folder unpacked from it. The classes
    are the WordNet ids, sorted, as in torchvision and timm.

    Args:
        root: The folder of all this.
        split: ``"train"`` (1,281,167 images) or ``"val"`` (50,000).

    Raises:
        ValueError: If the data are missing (the text says what to fetch, and what was found),
            an archive is broken or lacks a class, or validation images have no devkit.
        MissingExtraError: If the devkit is needed and scipy is not installed.

    Warns:
        UserWarning: If the class folders are fewer than 1000, so that labels are other numbers
            than those of the whole data set.

    Source: Russakovsky et al., arXiv:1409.0575.
    """
    folder, archive = root / split, root / ARCHIVES[split]
    if folder.is_dir():
        wnids = sorted(entry.name for entry in os.scandir(folder) if _is_class(entry))
        if wnids:
            return _from_folders(folder, wnids)
        flat = [name for name in _names(folder) if _VAL.fullmatch(name)]
        if split == "val" and flat:
            return _validation(FolderStore(folder), flat, _devkit_of(root))
    if archive.is_file():
        if split == "val":
            return _from_val_archive(archive, _devkit_of(root))
        return _from_train_archive(archive, root)
    raise _missing(root, split)


def _is_class(entry: os.DirEntry[str]) -> bool:
    return _WNID.fullmatch(entry.name) is not None and entry.is_dir()


def _names(folder: Path) -> list[str]:
    # Names alone: a path object for each of 1.3 million files would take half a gigabyte.
    return sorted(entry.name for entry in os.scandir(folder))


def _from_folders(folder: Path, wnids: Sequence[str]) -> ImageDataset:
    if len(wnids) != CLASSES:
        warnings.warn(
            f"imagenet has {len(wnids)} of {CLASSES} classes in {folder}: their labels are"
            f" 0 to {len(wnids) - 1}, not those of weights trained on all",
            stacklevel=4,
        )
    listed = [
        f"{wnid}/{name}"
        for wnid in wnids
        for name in _names(folder / wnid)
        if not name.startswith(".") and name.lower().endswith(EXTENSIONS)
    ]
    empty = sorted(set(wnids) - {key[:9] for key in listed})
    if empty:
        got = Words(f"none in {folder / empty[0]}")
        raise ValueError(expected(_WHO, "images in each class folder", got))
    return _by_wnid(FolderStore(folder), listed, wnids)


def _by_wnid(store: Store, keys: Sequence[str], wnids: Sequence[str]) -> ImageDataset:
    """Take the class of each file from the folder that its name begins with."""
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    return StoreDataset(store, keys, [label_of[key[:9]] for key in keys], wnids)


def _from_train_archive(archive: Path, root: Path) -> ImageDataset:
    index = tar_index(archive, nested=True)
    keys = [index.name(place) for place in range(len(index))]
    strange = [key for key in keys if not _WNID.fullmatch(key.partition("/")[0])]
    if strange:
        rule = "a tar of class tars such as n01440764.tar"
        raise ValueError(expected(str(archive), rule, Words(f"{strange[0]} in it"), _KEPT))
    wnids = sorted({key[:9] for key in keys})
    if len(wnids) != CLASSES:
        lost = sorted(set(_devkit_of(root).wnids) - set(wnids)) if _has_devkit(root) else []
        if lost or not _has_devkit(root):
            got = f"{len(wnids)}" + (f", {', '.join(lost[:3])} missing" if lost else "")
            remedy = "fetch the archive again; for chosen classes make folders, train/n01440764/"
            raise ValueError(
                expected(str(archive), "the class tars of all classes", Words(got), remedy)
            )
    return _by_wnid(TarStore(archive, index), keys, wnids)


def _from_val_archive(archive: Path, devkit: Devkit) -> ImageDataset:
    index = tar_index(archive)
    names = [index.name(place) for place in range(len(index))]
    keys = [name for name in names if _VAL.fullmatch(name.rpartition("/")[2])]
    if len(keys) != len(devkit.val_wnids):
        rule = f"{len(devkit.val_wnids)} images, as the devkit has labels"
        got = Words(f"{len(keys)} named ILSVRC2012_val_*.JPEG")
        raise ValueError(expected(str(archive), rule, got, "fetch it again"))
    return _validation(TarStore(archive, index), keys, devkit)


def _validation(store: Store, keys: Sequence[str], devkit: Devkit) -> ImageDataset:
    """Label validation images by the number in their names, which is their line in the devkit."""
    wnids = devkit.wnids
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    numbers = [int(key[-13:-5]) for key in keys]
    if not 1 <= min(numbers) <= max(numbers) <= len(devkit.val_wnids):
        rule = f"validation images numbered 1 to {len(devkit.val_wnids)}, as in the devkit"
        raise ValueError(expected(_WHO, rule, Words(f"{min(numbers)} to {max(numbers)}")))
    labels = [label_of[devkit.val_wnids[number - 1]] for number in numbers]
    return StoreDataset(store, keys, labels, wnids)


def _has_devkit(root: Path) -> bool:
    return (root / DEVKIT).is_dir() or (root / f"{DEVKIT}.tar.gz").is_file()


def _devkit_of(root: Path) -> Devkit:
    folder, archive = root / DEVKIT, root / f"{DEVKIT}.tar.gz"
    names = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
    try:
        if folder.is_dir():
            return read_devkit(*(read_file(folder / "data" / name, MAT_LIMIT) for name in names))
        if archive.is_file():
            return read_devkit(*_take(archive, [f"{DEVKIT}/data/{name}" for name in names]))
    except TAR_DAMAGE as error:
        where = str(folder if folder.is_dir() else archive)
        remedy = "fetch ILSVRC2012_devkit_t12.tar.gz again"
        raise ValueError(expected(where, "the devkit of 2012", Words(error), remedy)) from error
    rule = f"{DEVKIT}.tar.gz in {root}, which holds the labels of the validation images"
    remedy = "fetch it from https://image-net.org/download-images (Development kit, Task 1 & 2)"
    raise ValueError(expected(_WHO, rule, Words(_found(root)), remedy))


def _take(archive: Path, names: Iterable[str]) -> list[bytes]:
    """Read members of a small, compressed archive."""
    with tarfile.open(archive, "r:*") as opened:
        return [member_bytes(opened, name, MAT_LIMIT) for name in names]


def _found(root: Path) -> str:
    if not root.is_dir():
        return f"no folder {root}"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in os.scandir(root))
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"in {root}: {', '.join(names[:8])}{more}" if names else f"an empty folder {root}"


def _missing(root: Path, split: str) -> ValueError:
    forms = f"{split}/n01440764/*.JPEG and so on"
    if split == "val":
        forms += f" or val/ILSVRC2012_val_*.JPEG with {DEVKIT}.tar.gz"
    return ValueError(
        expected(
            _WHO,
            f"{ARCHIVES[split]} or {forms} in {root}",
            Words(_found(root)),
            f"fetch {ARCHIVES['train']}, {ARCHIVES['val']} and {DEVKIT}.tar.gz from"
            " https://image-net.org/download-images (it needs an account), put them as they are"
            f" into {root}, or name their folder as imagenet:FOLDER",
        )
    )

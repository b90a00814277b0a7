"""Public data sets that lie on disk: Fashion-MNIST and CIFAR-100. Nothing is downloaded."""

from __future__ import annotations

import gzip
import io
import math
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foveate.core import Words, expected, require
from foveate.core.reading import read_file
from foveate.data.samples import ImageDataset, Sample, Unreadable, check_index
from foveate.data.tars import TAR_DAMAGE, member_bytes

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_MOST = 1 << 30
"""Bytes of an idx file; the largest of its kind, EMNIST by class, has 0.6e9."""
_CIFAR = "cifar-100-python"


class ArrayDataset(ImageDataset):
    """Images of one size held in memory.

    Args:
        name: First part of each image's name.
        images: (N, H, W) or (N, 3, H, W) uint8.
        labels: N class indices.
        classes: Names of the classes.
    """

    def __init__(
        self, name: str, images: Tensor, labels: Sequence[int], classes: Sequence[str]
    ) -> None:
        self.name, self.images, self.classes = name, images, tuple(classes)
        self._labels = tuple(int(label) for label in labels)

    @property
    def labels(self) -> Sequence[int]:
        """The label of each image."""
        return self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample | Unreadable:
        index = check_index(index, len(self))
        image = self.images[index]
        colored = image.expand(3, *image.shape[-2:]).clone()
        return Sample(colored, self._labels[index], index, self.name_of(index))

    def name_of(self, index: int) -> str:
        """Return the data set's name and the place."""
        return f"{self.name}/{check_index(index, len(self)):05d}"


def read_idx(file: Path) -> Tensor:
    """Read an idx file of bytes, gzipped or plain, as a uint8 tensor.

    Raises:
        ValueError: If it is broken or truncated.

    Source: the format as described at http://yann.lecun.com/exdb/mnist/ (two zero bytes, the
    type 8, the rank, then each size as a big-endian 32-bit integer).
    """
    try:
        content = _unzipped(file) if file.suffix == ".gz" else read_file(file, _MOST)
        zeros, kind, rank = struct.unpack_from(">HBB", content)
        sizes = struct.unpack_from(f">{rank}I", content, 4)
    except (EOFError, OSError, ValueError, zlib.error, struct.error) as error:
        raise ValueError(expected(str(file), "an idx file of bytes", Words(error))) from error
    values = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * rank)
    if zeros != 0 or kind != 8 or not 0 < rank <= 4 or values.size != math.prod(sizes):
        got = f"magic {zeros:04x} {kind:02x}, sizes {sizes}, {values.size} bytes"
        raise ValueError(expected(str(file), "an idx file of bytes", Words(got)))
    return torch.from_numpy(values.copy()).reshape(sizes)


def _unzipped(file: Path) -> bytes:
    """Return what a gzipped file holds.

    Raises:
        ValueError: If that is more than any data set of this form: a few bytes may stand for many.
    """
    with gzip.open(io.BytesIO(read_file(file, _MOST))) as opened:
        content = opened.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError(f"more than {_MOST} bytes in it")
    return content


def open_fashion_mnist(root: Path, split: str) -> ArrayDataset:
    """Open Fashion-MNIST (28 x 28, grey, 10 classes); val is its test set.

    Args:
        root: The folder that holds the four idx files, gzipped or plain, or torchvision's root
            (they lie in ``root/FashionMNIST/raw``).
        split: ``"train"`` (60,000 images) or ``"val"`` (10,000).

    Raises:
        ValueError: If the files are missing (the text says where to get them) or broken.

    Source: Xiao et al., arXiv:1708.07747.
    """
    part = "train" if split == "train" else "t10k"
    images = read_idx(_find_idx(root, f"{part}-images-idx3-ubyte"))
    labels = read_idx(_find_idx(root, f"{part}-labels-idx1-ubyte"))
    if images.dim() != 3 or labels.dim() != 1 or len(images) != len(labels):
        got = f"shapes {tuple(images.shape)} and {tuple(labels.shape)}"
        raise ValueError(
            expected("fashion-mnist", f"as many labels as images in {root}", Words(got))
        )
    if len(labels) and int(labels.max()) >= len(FASHION_CLASSES):
        raise ValueError(expected("fashion-mnist", "labels below 10", int(labels.max())))
    return ArrayDataset(f"fashion-mnist/{split}", images, labels.tolist(), FASHION_CLASSES)


def _find_idx(root: Path, stem: str) -> Path:
    for folder in (root, root / "FashionMNIST" / "raw"):
        for file in (folder / f"{stem}.gz", folder / stem):
            if file.is_file():
                return file
    raise ValueError(
        expected(
            "fashion-mnist",
            f"{stem}.gz in {root} or {root / 'FashionMNIST' / 'raw'}",
            Words("no such file"),
            "fetch the four .gz files from https://github.com/zalandoresearch/fashion-mnist"
            " and name their folder as fashion-mnist:FOLDER (Debian: apt install"
            " dataset-fashion-mnist, then fashion-mnist:/usr/share/datasets/fashion-mnist)",
        )
    )


def open_cifar100(root: Path, split: str) -> ArrayDataset:
    """Open CIFAR-100 (32 x 32, 100 classes) through torchvision; val is its test set.

    Args:
        root: The folder that holds ``cifar-100-python`` or, as it was downloaded,
            ``cifar-100-python.tar.gz``.
        split: ``"train"`` (50,000 images) or ``"val"`` (10,000).

    Raises:
        ValueError: If the files are missing or fail torchvision's checksums.
        MissingExtraError: If torchvision is not installed.

    Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    datasets = require("torchvision.datasets", "models", "CIFAR-100")
    folder, archive = root / _CIFAR, root / f"{_CIFAR}.tar.gz"
    if not (folder.is_dir() or archive.is_file()):
        found = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        raise _cifar_error(root, ", ".join(found[:8]) if found else "no such files")
    with tempfile.TemporaryDirectory() as scratch:
        if not folder.is_dir():
            _unpack_cifar(archive, Path(scratch) / _CIFAR)
        place = root if folder.is_dir() else scratch
        try:
            source = datasets.CIFAR100(str(place), train=split == "train", download=False)
        except RuntimeError as error:
            raise _cifar_error(root, "missing or corrupted files in it") from error
    images = torch.from_numpy(source.data).permute(0, 3, 1, 2)
    return ArrayDataset(f"cifar100/{split}", images, source.targets, source.classes)


def _unpack_cifar(archive: Path, folder: Path) -> None:
    folder.mkdir()
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for part in ("train", "test", "meta"):
                content = member_bytes(opened, f"{_CIFAR}/{part}", _MOST)
                (folder / part).write_bytes(content)
    except TAR_DAMAGE as error:
        raise _cifar_error(archive.parent, f"a damaged {archive.name} ({error})") from error


def _cifar_error(root: Path, got: str) -> ValueError:
    return ValueError(
        expected(
            "cifar100",
            f"{_CIFAR}.tar.gz, or the folder {_CIFAR} unpacked from it, in {root}",
            Words(got),
            f"fetch https://www.cs.toronto.edu/~kriz/{_CIFAR}.tar.gz and put it as it is into"
            f" {root}, or name its folder as cifar100:FOLDER",
        )
    )

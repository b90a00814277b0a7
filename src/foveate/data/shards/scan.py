"""Find the samples of tars in WebDataset's form, whoever wrote them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from foveate.core import Words, expected
from foveate.core.reading import read_text
from foveate.data.folder import natural_key
from foveate.data.images import EXTENSIONS
from foveate.data.shards.index import Shard, ShardIndex
from foveate.data.tars import TarIndex, read_range, scan_tar

CLASSES = "classes.txt"
_DIGITS = 6


@dataclass(frozen=True)
class _Scanned:
    """A tar, the places of its images in the order of the tar, and what their .cls say."""

    path: Path
    index: TarIndex
    places: list[int]
    texts: list[str]


def find_shards(folder: Path) -> dict[str, list[Path]]:
    """Find the shards of each split: ``train/*.tar`` and ``val/*.tar``, or ``train*.tar``.

    Raises:
        ValueError: If there is none.
    """
    found: dict[str, list[Path]] = {}
    for split in ("train", "val"):
        paths = [*(folder / split).glob("*.tar"), *folder.glob(f"{split}*.tar")]
        if paths:
            found[split] = sorted(paths, key=lambda path: natural_key(path.as_posix()))
    if not found:
        loose = sorted(path.name for path in folder.glob("*.tar"))
        got = f"{', '.join(loose[:3]) or 'no tar'} in {folder}"
        rule = "train-*.tar and val-*.tar, or folders train and val of tars"
        raise ValueError(expected("foveate shards --index", rule, Words(got)))
    return found


def index_tars(
    folder: Path,
    tars: dict[str, list[Path]],
    classes: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ShardIndex:
    """Look into tars in WebDataset's form: ``KEY.jpg`` beside ``KEY.cls``, for each sample.

    A key ends at the first dot of a file's name. A ``.cls`` holds the class by its number from 0,
    or by its name; all shards do it one way.

    Args:
        folder: Where the index will lie; shards are named from there.
        tars: Shards of each split.
        classes: Names of the classes; by default the lines of ``classes.txt`` in the folder, else
            what the ``.cls`` files hold: numbers 0 to the highest, or names in sorted order.
        progress: Called after each shard with the bytes done, and of how many.

    Raises:
        OSError: If a shard cannot be read.
        ValueError: If one is broken, a sample lacks its image or its class, the class is none, or
            numbers and names are mixed without a list of names.
    """
    total = sum(path.stat().st_size for paths in tars.values() for path in paths)
    done = 0
    scanned: dict[str, list[_Scanned]] = {split: [] for split in tars}
    for split, paths in tars.items():
        for path in paths:
            scanned[split].append(_scan(path))
            done += path.stat().st_size
            if progress is not None:
                progress(done, total)
    texts = {text for tars_of in scanned.values() for tar in tars_of for text in tar.texts}
    names = list(classes) if classes is not None else _classes(folder, texts)
    label_of = {name: label for label, name in enumerate(names)}
    if all(map(_is_number, texts)):
        label_of = {text: int(text) for text in texts if int(text) < len(names)}
    strange = sorted(texts - set(label_of))
    if strange:
        rule, remedy = f"one of {len(names)} classes in each .cls", f"correct {CLASSES}"
        raise ValueError(expected(str(folder), rule, strange[0], remedy))
    splits = {
        split: tuple(_shard(folder, tar, label_of) for tar in tars_of)
        for split, tars_of in scanned.items()
    }
    return ShardIndex(tuple(names), splits)


def _classes(folder: Path, texts: set[str]) -> list[str]:
    listed = folder / CLASSES
    if listed.is_file():
        lines = read_text(listed, "names of classes").splitlines()
        return [line for line in lines if line.strip()]
    numbers = {text for text in texts if _is_number(text)}
    if numbers == texts:
        return [str(label) for label in range(1 + max(map(int, texts), default=0))]
    if numbers or "" in texts:
        # As names they would count anew, and every number be another class.
        got = Words(f"{min(texts - numbers)!r}" + (f" and {min(numbers)!r}" if numbers else ""))
        rule, remedy = "numbers or names in the .cls, in all alike", f"correct it, or add {CLASSES}"
        raise ValueError(expected(str(folder), rule, got, remedy))
    return sorted(texts)


def _is_number(text: str) -> bool:
    """Whether a .cls holds a class by its number; a longer one than any has is a name."""
    return text.isascii() and text.isdecimal() and len(text) <= _DIGITS


def _scan(path: Path) -> _Scanned:
    index = scan_tar(path)
    images: dict[str, int] = {}
    texts: dict[str, str] = {}
    for place in range(len(index)):
        file = PurePosixPath(index.name(place))
        stem, _, kind = file.name.partition(".")
        key = str(file.parent / stem)
        if f".{kind.lower()}" in EXTENSIONS:
            images[key] = place
        elif kind.lower() == "cls":
            texts[key] = read_range(path, *index.span(place)).decode(errors="replace").strip()
    odd = sorted(set(images) ^ set(texts))
    if odd or not images:
        missing = f"no {'.cls' if odd[0] in images else 'image'} of {odd[0]}" if odd else "neither"
        rule = "an image and a .cls for each sample"
        raise ValueError(expected(str(path), rule, Words(missing)))
    keys = sorted(images, key=lambda key: int(index.offsets[images[key]]))
    return _Scanned(path, index, [images[key] for key in keys], [texts[key] for key in keys])


def _shard(folder: Path, tar: _Scanned, label_of: dict[str, int]) -> Shard:
    return Shard(
        name=tar.path.relative_to(folder).as_posix(),
        bytes=tar.path.stat().st_size,
        sha256=file_sha256(tar.path),
        files=tar.index.names[tar.places],
        labels=np.array([label_of[text] for text in tar.texts], dtype=np.int64),
        offsets=tar.index.offsets[tar.places],
        sizes=tar.index.sizes[tar.places],
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()

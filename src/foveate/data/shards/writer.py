"""Write any data set as shards: originals as they are, made images as PNG."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from foveate.core import Words, check_positive_int, expected, require
from foveate.core.files import write_bytes
from foveate.data.files import FileDataset
from foveate.data.images import UnreadableImageError
from foveate.data.samples import ImageDataset, Unreadable
from foveate.data.shards.index import ShardIndex, load_index
from foveate.data.shards.scan import CLASSES, index_tars
from foveate.data.split import shuffled

_WHO = "write_shards"
_SEED = 0


@dataclass
class Written:
    """What was written.

    Attributes:
        shards: Number of shards.
        images: Number of images in them.
        bytes: Size of all shards.
        unreadable: Images that are not in the shards: empty or missing files, or those that a data
            set which is not of plain files could not make.
    """

    shards: int = 0
    images: int = 0
    bytes: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def write_shards(
    dataset: ImageDataset,
    folder: Path,
    split: str,
    *,
    shard_bytes: int = 100_000_000,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Write a data set as ``<split>-000000.tar`` and so on, and put them into the index.

    The images of train are written in a seeded order, so that each shard mixes the classes and an
    order that stays within few shards is still a good one; those of val in their own. A sample's
    key is its place in ``dataset``. Files are copied without a look inside: a damaged image is
    unreadable from the shards as it was before. Annotations are not written.

    Args:
        dataset: What ``open_dataset`` returned.
        folder: Where to; another split may be there already, with the same classes.
        split: ``"train"`` or ``"val"``.
        shard_bytes: A shard ends before it would grow beyond this, at least 10,240, unless
            one image alone does.
        force: Replace the split if the folder has it.
        progress: Called after each image with how many are done, and of how many.

    Raises:
        OSError: If it cannot be written; nothing half is left behind.
        ValueError: If the folder has the split or other classes, or no image is readable.
        MissingExtraError: If Pillow is needed and not installed.
    """
    check_positive_int(_WHO, "shard_bytes", shard_bytes, minimum=tarfile.RECORDSIZE)
    present = load_index(folder)
    others = dict(present.splits) if present else {}
    replaced = others.pop(split, ())
    if replaced and not force:
        remedy = "name another folder, or replace them with --force"
        got = Words(f"{len(replaced)} shards of {split} in {folder}")
        raise ValueError(expected(_WHO, "a folder without this split", got, remedy))
    if present and others and present.classes != tuple(dataset.classes):
        got = Words(f"{len(dataset.classes)} others than the {len(present.classes)} in {folder}")
        raise ValueError(expected(_WHO, "the same classes in all splits", got))
    written = Written()
    partial = folder / f".{split}.partial"
    existed = folder.exists()
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        tars = _write_tars(_samples(dataset, split, written, progress), partial, split, shard_bytes)
        index = index_tars(partial, {split: tars}, dataset.classes)
        for tar in tars:
            tar.replace(folder / tar.name)
        write_bytes(folder / CLASSES, "".join(f"{name}\n" for name in index.classes).encode())
        ShardIndex(index.classes, {**others, **index.splits}).save(folder)
        for shard in replaced:
            if shard.name not in {tar.name for tar in tars}:
                (folder / shard.name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not existed and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    written.shards = len(tars)
    written.bytes = sum(shard.bytes for shard in index.splits[split])
    return written


def _samples(
    dataset: ImageDataset,
    split: str,
    written: Written,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the key of each readable image, and its files by suffix."""
    order: Sequence[int] = range(len(dataset))
    # Once: a subset makes its labels anew each time.
    labels = dataset.labels
    if split == "train":
        order = shuffled([str(place) for place in order], _SEED)
    for done, place in enumerate(order, start=1):
        found = _content(dataset, place)
        if isinstance(found, Unreadable):
            written.unreadable.append(found)
        else:
            written.images += 1
            content, suffix = found
            label = str(labels[place]).encode()
            yield f"{place:08d}", {suffix: content, ".cls": label}
        if progress is not None:
            progress(done, len(dataset))
    if not written.images:
        reasons = [f"{item.name}: {item.reason}" for item in written.unreadable[:1]]
        got = Words(reasons[0] if reasons else "none")
        raise ValueError(expected(_WHO, "readable images", got))


def _content(dataset: ImageDataset, place: int) -> tuple[bytes, str] | Unreadable:
    """Return an image's own file, not decoded: a million of them would take hours."""
    if isinstance(dataset, FileDataset):
        try:
            kept = dataset.original(place)
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            return Unreadable(place, dataset.name_of(place), error.strerror or str(error))
        except UnreadableImageError as error:
            return Unreadable(place, dataset.name_of(place), str(error))
        if kept is not None:
            name, empty = dataset.name_of(place), "empty file (0 bytes)"
            return kept if kept[0] else Unreadable(place, name, empty)
    item = dataset[place]
    if isinstance(item, Unreadable):
        return item
    pillow = require("PIL.Image", "models", "writing images")
    buffer = io.BytesIO()
    pillow.fromarray(item.image.permute(1, 2, 0).numpy()).save(buffer, "png")
    return buffer.getvalue(), ".png"


def _write_tars(
    samples: Iterator[tuple[str, dict[str, bytes]]], folder: Path, split: str, shard_bytes: int
) -> list[Path]:
    tars: list[Path] = []
    archive: tarfile.TarFile | None = None
    try:
        for key, files in samples:
            if archive is None or _grown(archive.offset, files) > shard_bytes:
                if archive is not None:
                    archive.close()
                tars.append(folder / f"{split}-{len(tars):06d}.tar")
                archive = tarfile.open(  # noqa: SIM115 - the next shard or the end closes it
                    tars[-1], "w", format=tarfile.USTAR_FORMAT
                )
            for suffix, content in files.items():
                # Nothing but name and size: the same images make the same bytes.
                header = tarfile.TarInfo(key + suffix)
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
            archive.members.clear()  # type: ignore[attr-defined]
    finally:
        if archive is not None:
            archive.close()
    return tars


def _grown(size: int, files: dict[str, bytes]) -> int:
    """Return how large a tar of ``size`` becomes: a header and whole blocks a file, and the end."""
    block, record = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
    size += sum(block + -(-len(content) // block) * block for content in files.values())
    return -(-(size + 2 * block) // record) * record

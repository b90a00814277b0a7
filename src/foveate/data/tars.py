"""Tar archives read in place: a member is a range of bytes, found once and remembered.

Members of an uncompressed tar lie in it as they are, and so do those of a tar inside a tar. An
index of offsets, kept beside the archive, therefore replaces unpacking.
"""

from __future__ import annotations

import hashlib
import lzma
import sys
import tarfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from foveate.core import Words, expected
from foveate.core.files import write_with
from foveate.data.cached import cache_folder, locked

_FORMAT = 2
_END = bytes(tarfile.BLOCKSIZE)


@dataclass(frozen=True, eq=False)
class TarIndex:
    """Where the files of an archive lie in it.

    Attributes:
        names: (N,) of bytes, paths in UTF-8, ascending; a file of an inner archive is named by
            the inner archive without ``.tar`` and its own path, ``n01440764/n01440764_18.JPEG``.
        offsets: (N,) int64, the first byte of each file.
        sizes: (N,) int64, its number of bytes.
    """

    names: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any]
    sizes: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, place: int) -> str:
        """Return the path of the file at ``place``."""
        return bytes(self.names[place]).decode()

    def span(self, place: int) -> tuple[int, int]:
        """Return offset and size of the file at ``place``."""
        return int(self.offsets[place]), int(self.sizes[place])

    def find(self, name: str) -> int | None:
        """Return the place of the file of that path, None if there is none."""
        place = int(np.searchsorted(self.names, name.encode()))
        return place if place < len(self) and self.name(place) == name else None


def read_range(file: Path, offset: int, size: int) -> bytes:
    """Read ``size`` bytes of ``file`` from ``offset`` on.

    The file is opened anew each time: nothing is shared between processes, whether forked or
    spawned, and a file that was replaced is not read through an old handle.

    Raises:
        OSError: If it cannot be read, or ends before.
    """
    # With a buffer: one system call may answer with less than it was asked for.
    with file.open("rb") as handle:
        handle.seek(offset)
        content = handle.read(size)
    if len(content) != size:
        rule = f"{size} bytes at {offset}"
        raise OSError(expected(str(file), rule, Words(f"{len(content)}: it was cut short")))
    return content


TAR_DAMAGE = (
    *(EOFError, KeyError, OSError, OverflowError, RecursionError, ValueError),
    *(lzma.LZMAError, tarfile.TarError, zlib.error),
)
"""What a broken archive shows as, compressed or not."""


def member_bytes(archive: tarfile.TarFile, name: str, limit: int) -> bytes:
    """Return what a regular file in a small archive holds; links are not followed.

    Raises:
        KeyError: If there is none of that name.
        ValueError: If it is no regular file, or larger than ``limit`` bytes.
        tarfile.TarError: If the archive is broken, as the others of ``TAR_DAMAGE``.
    """
    member = archive.getmember(name)
    if not member.isreg() or not 0 <= member.size <= limit:
        raise ValueError(f"{name}, which is no file of at most {limit} bytes")
    handle = archive.extractfile(member)
    return handle.read(limit) if handle is not None else b""


def tar_members(handle: IO[bytes], who: str) -> Iterator[tarfile.TarInfo]:
    """Yield the regular, visible files of an uncompressed tar, and hard links to such.

    Raises:
        ValueError: If it is compressed, broken, or cut short anywhere, or a file in it is sparse.
    """
    start = handle.read(4)
    handle.seek(0)
    if start[:2] == b"\x1f\x8b" or start[:3] == b"BZh" or start == b"\xfd7zX":
        rule, remedy = "an uncompressed tar", "unpack it, or write it again without compression"
        raise ValueError(expected(who, rule, Words("a compressed one"), remedy))
    try:
        with tarfile.open(fileobj=handle, mode="r:") as archive:
            passed = -1
            while (member := archive.next()) is not None:
                # A size below 0 would lead back, and round for ever.
                if member.size < 0 or not passed < archive.offset:
                    raise tarfile.ReadError(f"a header of {member.size} bytes")
                passed = archive.offset
                # Its list of all members would take a kilobyte for each.
                archive.members.clear()  # type: ignore[attr-defined]
                if member.issparse():
                    got = Words(f"{member.name}, which lies there in parts")
                    remedy = "write the tar again without --sparse"
                    raise ValueError(expected(who, "files in one piece", got, remedy))
                visible = not Path(member.name).name.startswith(".")
                if visible and (member.isreg() or member.islnk()):
                    yield member
            # tarfile takes a broken header for the end: the end is two blocks of zeros.
            handle.seek(archive.offset)
            if handle.read(len(_END)) != _END:
                raise tarfile.ReadError(f"no tar header and no end at byte {archive.offset}")
    except (OSError, OverflowError, RecursionError, tarfile.TarError) as error:
        remedy = "it was cut short or damaged: fetch it again"
        raise ValueError(expected(who, "a whole tar archive", Words(error), remedy)) from error


def scan_tar(
    archive: Path, *, nested: bool = False, progress: Callable[[int, int], None] | None = None
) -> TarIndex:
    """Find every file of an archive by reading all headers.

    Args:
        archive: An uncompressed tar.
        nested: Look into its members whose name ends in ``.tar``, too.
        progress: Called now and then with the bytes passed, and of how many.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is compressed, broken or cut short, a file in it is sparse, or a hard
            link leads nowhere.
    """
    found: dict[bytes, tuple[int, int]] = {}
    total = archive.stat().st_size
    with archive.open("rb") as handle:
        for member in tar_members(handle, str(archive)):
            name, start = _plain(member.name), member.offset_data
            if progress is not None:
                progress(start, total)
            if not (nested and name.endswith(".tar") and member.isreg()):
                _note(found, member, str(archive))
                continue
            inner, who = _Part(handle, start, member.size), f"{archive}/{name}"
            for file in tar_members(inner, who):  # type: ignore[arg-type]
                _note(found, file, who, name.removesuffix(".tar") + "/", start)
    names = sorted(found)
    spans = np.array([found[name] for name in names], dtype=np.int64).reshape(-1, 2)
    return TarIndex(np.array(names, dtype=np.bytes_), spans[:, 0].copy(), spans[:, 1].copy())


def _note(
    found: dict[bytes, tuple[int, int]],
    member: tarfile.TarInfo,
    who: str,
    folder: str = "",
    start: int = 0,
) -> None:
    """Note where a file lies; of files of one name the last counts, as when a tar is unpacked."""
    span = start + member.offset_data, member.size
    if member.islnk():
        target = _bytes(folder + _plain(member.linkname), who)
        if target not in found:
            got = Words(f"{member.name}, a link to {member.linkname}, which is not before it")
            raise ValueError(expected(who, "hard links to files in it", got))
        span = found[target]
    found[_bytes(folder + _plain(member.name), who)] = span


def _bytes(name: str, who: str) -> bytes:
    try:
        if "\0" not in name:
            return name.encode()
    except UnicodeEncodeError:
        pass
    remedy = "write the tar again with such names"
    raise ValueError(expected(who, "names in UTF-8", Words(ascii(name)), remedy))


def _plain(name: str) -> str:
    return name.removeprefix("./")


class _Part:
    """A range of an open file as a file of its own, with as much of one as tarfile uses."""

    def __init__(self, handle: IO[bytes], start: int, size: int) -> None:
        self.handle, self.start, self.size, self.place = handle, start, size, 0

    def tell(self) -> int:
        return self.place

    def seek(self, place: int) -> int:
        self.place = place
        return place

    def read(self, count: int) -> bytes:
        self.handle.seek(self.start + self.place)
        content = self.handle.read(max(0, min(count, self.size - self.place)))
        self.place += len(content)
        return content


def tar_index(archive: Path, *, nested: bool = False) -> TarIndex:
    """Return the index of an archive, from the file kept of it if size and time still agree.

    A new index is kept beside the archive as ``<archive>.index.npz``, or in ``cache_folder()``
    where that folder takes no files. A long scan tells its progress on stderr.

    Raises:
        OSError: If the archive cannot be read.
        ValueError: If it is compressed, broken or cut short.
    """
    status = archive.stat()
    stamp = np.array([_FORMAT, status.st_size, status.st_mtime_ns, nested], dtype=np.int64)
    digest = hashlib.blake2b(str(archive.resolve()).encode(), digest_size=8).hexdigest()
    places = (
        archive.with_name(f"{archive.name}.index.npz"),
        cache_folder() / "indices" / f"{digest}-{archive.name}.npz",
    )
    kept = _load(places, stamp)
    if kept is not None:
        return kept
    with ExitStack() as stack:
        # Where no lock can lie, processes that start together each scan for themselves.
        with suppress(OSError):
            stack.enter_context(locked(places[1].with_suffix(".lock")))
        kept = _load(places, stamp)
        if kept is None:
            kept = scan_tar(archive, nested=nested, progress=_Teller(f"indexing {archive}, once"))
            _save(places, stamp, kept)
    return kept


def _load(places: tuple[Path, ...], stamp: np.ndarray[Any, Any]) -> TarIndex | None:
    for file in places:
        try:
            with file.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
                index = TarIndex(kept["names"], kept["offsets"], kept["sizes"])
                if np.array_equal(kept["stamp"], stamp) and _is_sound(index, int(stamp[1])):
                    return index
        # A damaged one shows as whatever went wrong inside numpy; it is made again.
        except Exception:
            continue
    return None


def _is_sound(index: TarIndex, size: int) -> bool:
    """Whether an index can be one of an archive of ``size`` bytes."""
    names, offsets, sizes = index.names, index.offsets, index.sizes
    if (
        names.ndim != 1
        or names.dtype.kind != "S"
        or not offsets.shape == sizes.shape == names.shape
    ):
        return False
    if not offsets.dtype == sizes.dtype == np.int64:
        return False
    inside = (offsets >= 0) & (sizes >= 0) & (offsets <= size - sizes)
    return bool(inside.all() and (names[1:] > names[:-1]).all()) and _in_utf8(names)


def _in_utf8(names: np.ndarray[Any, Any]) -> bool:
    try:
        b"".join(names.tolist()).decode()
    except UnicodeDecodeError:
        return False
    return True


def _save(places: tuple[Path, ...], stamp: np.ndarray[Any, Any], index: TarIndex) -> None:
    arrays: dict[str, Any] = {
        "stamp": stamp,
        "names": index.names,
        "offsets": index.offsets,
        "sizes": index.sizes,
    }
    for file in places:
        try:
            write_with(file, lambda handle: np.savez(handle, **arrays), "an index")
        except OSError as error:
            reason = error
        else:
            return
    warnings.warn(f"the index will be made again next time: {reason}", stacklevel=3)


class _Teller:
    """Says on stderr how far a long scan is: first after 3 seconds, then every 10."""

    def __init__(self, what: str) -> None:
        self.what, self.next = what, time.monotonic() + 3

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + 10
            print(f"foveate: {self.what}: {100 * done / total:.0f} %", file=sys.stderr)

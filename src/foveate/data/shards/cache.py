"""Whole shards kept on a local disk, as many as there is room for."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path, PurePosixPath

from foveate.data.cached import locked
from foveate.data.shards.index import Shard
from foveate.data.shards.remote import DamagedError, fetch_url, join, shown
from foveate.data.shards.scan import file_sha256

_STALE_S = 3600
_OURS = re.compile(r"[0-9a-f]{16}-.+\.tar")
_PART = re.compile(r"\.[0-9a-f]{16}-.+\.tar\.part")
"""Copies and half ones; nothing else in the folder, which the user chose, is ever removed."""


class LocalShards:
    """Shards that lie on a disk of this machine, read in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, shard: Shard) -> Path:
        """Return where the shard lies."""
        return self.folder / shard.name

    def locate(self, shard: Shard) -> str:
        """Return where the shard lies, for messages."""
        return str(self.path(shard))


class CachedShards:
    """Shards that lie elsewhere, fetched whole when one of their images is wanted.

    Several processes and several runs share a folder: one fetches a shard while the others wait
    for it, what is incomplete never counts, and files are named by what they hold.

    Args:
        url: The folder of the shards, any URL of fsspec.
        folder: Where copies are kept.
        limit_bytes: Room for them. The least recently used go first; the shard just fetched
            stays even if it is larger.
    """

    def __init__(self, url: str, folder: Path, limit_bytes: int) -> None:
        self.url, self.folder, self.limit_bytes = url, folder, limit_bytes

    def locate(self, shard: Shard) -> str:
        """Return the URL of the shard, for messages."""
        return shown(join(self.url, shard.name))

    def path(self, shard: Shard) -> Path:
        """Return where a whole copy of the shard lies, fetching it if need be.

        Another process may remove it at any time; then ask again.

        Raises:
            UnreachableError: If it cannot be fetched, or arrives damaged each time.
            OSError: If the folder cannot be written.
        """
        file = self.folder / f"{shard.sha256[:16]}-{PurePosixPath(shard.name).name}"
        if not _touched(file):
            with locked(file.with_name(f".{file.name}.lock")):
                if not _touched(file):
                    self._fetch(shard, file)
                    self._make_room(file)
        return file

    def _fetch(self, shard: Shard, file: Path) -> None:
        # The lock is held, so nobody else writes this part; one left by a dead process is reused.
        part = file.with_name(f".{file.name}.part")

        def check(copy: Path) -> None:
            size = copy.stat().st_size
            if size != shard.bytes:
                raise DamagedError(f"{size} bytes arrived of {shard.bytes}")
            if file_sha256(copy) != shard.sha256:
                raise DamagedError("what arrived has another checksum than the index says")

        try:
            fetch_url(join(self.url, shard.name), part, check)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, keep: Path) -> None:
        """Remove the least recently used shards beyond the limit, and parts of dead processes."""
        kept: list[tuple[float, int, Path]] = []
        for file in self.folder.iterdir():
            with suppress(FileNotFoundError):
                status = file.stat()
                if _PART.fullmatch(file.name) and status.st_mtime < time.time() - _STALE_S:
                    file.unlink()
                elif _OURS.fullmatch(file.name):
                    kept.append((status.st_mtime, status.st_size, file))
        total = sum(size for _, size, _ in kept)
        for _, size, file in sorted(kept):
            if total <= self.limit_bytes:
                break
            if file != keep:
                file.unlink(missing_ok=True)
                total -= size


def _touched(file: Path) -> bool:
    """Mark a file as used now; False if there is none."""
    try:
        os.utime(file)
    except FileNotFoundError:
        return False
    return True

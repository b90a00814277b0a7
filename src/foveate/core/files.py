"""Files that are written whole or not at all: a temporary file, fsync, rename."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from foveate.core.errors import Words, expected


def write_with(path: Path, write: Callable[[IO[bytes]], None], what: str = "a file") -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place.

    A reader sees the old file or the new one, never half of one. If writing fails, the temporary
    file is removed and the old file stays.

    Args:
        path: The file to replace.
        write: Called with the open temporary file.
        what: What is written, for the error.

    Raises:
        OSError: If it cannot be written, with the errno of the cause (28 for a full disk).
    """
    write_together({path: write}, what)


def write_together(
    writes: Mapping[Path, Callable[[IO[bytes]], None]], what: str = "a file"
) -> None:
    """Fill temporary files beside several paths, and put them in place when all are written.

    Each is put in place in one step, but not all at once: where the machine stops between two of
    them, the first are new and the others old.

    Args:
        writes: What fills the file that is to stand at each path.
        what: What is written, for the error.

    Raises:
        OSError: If one of them cannot be written, or a folder stands there; all old files stay.
    """
    begun: dict[Path, Path] = {}
    path = next(iter(writes))
    try:
        for path in writes:
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for path, write in writes.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            begun[path] = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            with begun[path].open("wb") as handle:
                write(handle)
                handle.flush()
                os.fsync(handle.fileno())
        for path, temporary in begun.items():
            temporary.replace(path)
    except BaseException as error:
        for temporary in begun.values():
            temporary.unlink(missing_ok=True)
        cause = _os_error_of(error)
        if cause is None:
            raise
        raise OSError(cause.errno, _failure(path, what, cause)) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of ``path`` in one step."""
    write_with(path, lambda handle: write_all(handle, content))


def write_json(path: Path, tree: Any) -> None:
    """Replace the content of ``path`` by indented JSON in one step."""
    write_bytes(path, json_bytes(tree))


def json_bytes(tree: Any) -> bytes:
    """Write indented JSON, with a line end."""
    return (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()


def write_all(handle: IO[bytes], content: bytes) -> None:
    """Write bytes into an open file, as ``write_with`` wants it."""
    handle.write(content)


def _os_error_of(error: BaseException) -> OSError | None:
    """Find the OSError behind an error: torch's zip writer hides it in a RuntimeError."""
    if isinstance(error, OSError):
        return error
    # Any other may come while an OSError is handled elsewhere, and has nothing to do with it.
    if not isinstance(error, RuntimeError):
        return None
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        seen = seen.__cause__ or seen.__context__
    if "file write failed" in str(error).lower():
        return OSError(errno.EIO, "the file could not be written")
    return None


def _failure(path: Path, what: str, cause: OSError) -> str:
    """Say what could not be written, and what is left."""
    reason = os.strerror(cause.errno) if cause.errno else str(cause)
    left = "the previous one is untouched" if path.exists() else "nothing half-written is left"
    remedy = "free some space" if cause.errno == errno.ENOSPC else "check the folder"
    return expected(
        f"writing {what} to {path}", "a disk that takes it", Words(reason), f"{left}; {remedy}"
    )

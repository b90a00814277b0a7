"""Where foveate keeps what it can make again, and locks that its processes share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foveate.core import require


def cache_folder() -> Path:
    """Return ``$FOVEATE_CACHE``, else ``foveate`` in the user's cache folder; it may not exist."""
    own = os.environ.get("FOVEATE_CACHE")
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache")).expanduser() / "foveate"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the lock that ``file`` stands for, against every process that sees the file.

    A process that dies loses its locks.

    Raises:
        OSError: If the file cannot be made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    # Comes with torch.
    with require("filelock", "train", "sharing files").FileLock(str(file)):
        yield

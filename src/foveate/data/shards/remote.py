"""Read what lies elsewhere through fsspec, patiently: http(s), s3, gs and whatever it opens."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from foveate.core import Words, expected, require

ATTEMPTS = 5
WAIT_S = 1.0
"""Before the second attempt; twice as long before each further one."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

T = TypeVar("T")


class UnreachableError(OSError):
    """Data that could not be fetched; the text names them and the reason."""


class DamagedError(Exception):
    """What arrived is not what the index says; worth another attempt."""


def is_remote(place: str) -> bool:
    """Whether a place is a URL rather than a path on this machine."""
    return "://" in place and not place.startswith("file://")


def join(place: str, name: str) -> str:
    """Return the URL of ``name`` in the folder ``place``; a web address keeps its query.

    Example:
        >>> join("https://host/pets/?token=a", "index.json"), join("s3://bucket/pets", "index.json")
        ('https://host/pets/index.json?token=a', 's3://bucket/pets/index.json')
    """
    mark = "?" if place.startswith(("http://", "https://")) else "\0"
    folder, mark, query = place.partition(mark)
    return f"{folder.rstrip('/')}/{name}{mark}{query}"


def shown(url: str) -> str:
    """Return a URL as messages name it: without user, password and query, which may be secret.

    Example:
        >>> shown("https://me:word@host/pets/index.json?token=a")
        'https://host/pets/index.json'
    """
    return re.sub(r"^(\w+://)[^/@]*@", r"\1", url).partition("?")[0]


def persist(url: str, action: Callable[[], T]) -> T:
    """Do something that the network may spoil, up to ``ATTEMPTS`` times with growing pauses.

    A missing file, one that may not be read, and a full disk of one's own are final at once.

    Raises:
        UnreachableError: If it failed for good; the URL and the last reason are named.
        ImportError: If fsspec lacks a package for this kind of URL; the text names it.
        ValueError: If fsspec does not know this kind of URL.
    """
    attempt, what = 0, shown(url)

    def plain(text: str) -> str:
        return text.replace(url, what).replace(url.partition("?")[2] or url, "...")

    while True:
        attempt += 1
        try:
            return action()
        except (ImportError, ValueError):
            raise
        except (FileNotFoundError, PermissionError) as error:
            raise _unreachable(what, plain(f"{type(error).__name__}: {error}")) from error
        # Each back end of fsspec has errors of its own.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                remedy = "free some space, or name another cache folder"
                raise _unreachable(what, plain(str(error)), remedy) from error
            if attempt == ATTEMPTS:
                reason = plain(str(error)) or type(error).__name__
                raise _unreachable(what, f"{reason} (attempt {attempt})") from error
            time.sleep(WAIT_S * 2 ** (attempt - 1))


def _unreachable(what: str, reason: str, remedy: str = "") -> UnreachableError:
    remedy = remedy or "check the address and the network"
    return UnreachableError(expected(what, "to be fetched whole", Words(reason), remedy))


def _filesystem(url: str) -> tuple[Any, str]:
    options: dict[str, Any] = {}
    if url.startswith(("http://", "https://")):
        aiohttp = require("aiohttp", "train", "reading shards over http")
        # Its default of five minutes in all would cut off a large shard on a slow line.
        waits = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        options["client_kwargs"] = {"timeout": waits}
    # Comes with torch. Instances are not kept: they must not be shared with a forked process.
    fsspec = require("fsspec.core", "train", "reading shards from elsewhere")
    filesystem, path = fsspec.url_to_fs(url, skip_instance_cache=True, **options)
    return filesystem, path


def read_url(url: str) -> bytes:
    """Return what lies at ``url``.

    Raises:
        UnreachableError: If it cannot be read.
    """

    def read() -> bytes:
        filesystem, path = _filesystem(url)
        return bytes(filesystem.cat_file(path))

    return persist(url, read)


def fetch_url(url: str, file: Path, check: Callable[[Path], None]) -> None:
    """Copy what lies at ``url`` to ``file``, and again while ``check`` raises DamagedError.

    Raises:
        UnreachableError: If it cannot be read, or arrives damaged each time.
    """

    def fetch() -> None:
        filesystem, path = _filesystem(url)
        filesystem.get_file(path, str(file))
        check(file)

    persist(url, fetch)

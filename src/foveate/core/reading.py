"""Files that somebody else may have made: regular, of a bounded size, parsed or refused."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from foveate.core.errors import Words, expected

TEXT_LIMIT = 1 << 26
"""Bytes of a settings file or a result, 64 MiB: more is none that foveate wrote."""


class NotRegularError(OSError):
    """A device or a pipe in place of a file."""


def read_file(path: Path, limit: int) -> bytes:
    """Return what a regular file of at most ``limit`` bytes holds.

    A device or a pipe, which a link in a foreign archive may lead to, would never end.

    Raises:
        NotRegularError: If it is a device or a pipe.
        OSError: If it is missing or cannot be read.
        ValueError: If it is larger.
    """
    # A pipe without a writer would block here otherwise; of a plain file the flag changes nothing.
    handle = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")
    with handle:
        status = os.fstat(handle.fileno())
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            got = Words("a device or a pipe")
            raise NotRegularError(expected(str(path), "a regular file", got))
        content = handle.read(limit + 1)
    if len(content) > limit:
        got = Words(f"{status.st_size} bytes")
        raise ValueError(expected(str(path), f"a file of at most {limit} bytes", got))
    return content


def lies_in(folder: Path, name: str) -> bool:
    """Whether a name leads to a file within a folder; one that no file can have leads nowhere."""
    home = folder.resolve()
    try:
        place = (home / name).resolve()
        return place.is_relative_to(home) and place.is_file()
    except (OSError, ValueError):
        return False


def parse_json(content: bytes | str, who: str, rule: str, remedy: str = "") -> Any:
    """Parse JSON.

    Raises:
        ValueError: If it is none, is nested too deeply, or is no text; the error says that ``who``
            expects ``rule``.

    Example:
        >>> parse_json("[1, 2]", "a list", "JSON")
        [1, 2]
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        got = Words(f"{type(error).__name__}: {error}")
        raise ValueError(expected(who, rule, got, remedy)) from error


def read_json(path: Path, rule: str = "valid JSON", remedy: str = "") -> Any:
    """Read and parse a JSON file of at most 64 MiB.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no such file.
    """
    return parse_json(read_file(path, TEXT_LIMIT), str(path), rule, remedy)


def read_object(path: Path, rule: str = "a JSON object", remedy: str = "") -> dict[str, Any]:
    """Read a JSON file whose outermost value is an object.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no such file.
    """
    tree = read_json(path, rule, remedy)
    if not isinstance(tree, dict):
        raise ValueError(expected(str(path), rule, Words(type(tree).__name__), remedy))
    return tree


def read_text(path: Path, rule: str = "text in UTF-8", limit: int = TEXT_LIMIT) -> str:
    """Read a text file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no UTF-8, or larger than ``limit`` bytes.
    """
    try:
        return read_file(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(expected(str(path), rule, Words(error))) from error


@contextmanager
def whole(who: str, rule: str, remedy: str = "") -> Iterator[None]:
    """Turn whatever a file that lacks something shows as into one error that names it.

    For trees of many parts, which are looked into at many places: a result, a report.
    ``FOVEATE_DEBUG=1`` shows the cause.

    Raises:
        ValueError: In place of any error but those of the system, of a missing package, and those
            that already say what was expected.
    """
    try:
        yield
    except (ImportError, OSError, MemoryError):
        raise
    except Exception as error:
        if " expects " in str(error):
            raise
        got = Words(f"{type(error).__name__}: {error}")
        raise ValueError(expected(who, rule, got, remedy)) from error


class _NoTypes(ElementTree.TreeBuilder):
    """Builds a tree, and refuses documents that declare types."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse: what a declaration of types adds are entities, which may multiply or fetch."""
        raise ValueError(f"a document type declaration ({name}), which no annotation needs")


def parse_xml(content: bytes) -> ElementTree.Element:
    """Parse XML without a document type declaration, so that no entity is ever expanded.

    Raises:
        ValueError: If it is no such XML; the text is the reason.

    Example:
        >>> parse_xml(b"<a><b>1</b></a>").findtext("b")
        '1'
    """
    try:
        return ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoTypes()))
    # LookupError: an encoding that nobody knows.
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(str(error)) from error

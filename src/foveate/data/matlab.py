"""MATLAB files (version 5) of data sets, looked through before scipy reads them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from foveate.core import Words, expected, require

MAT_LIMIT = 1 << 24
"""Bytes of a list, packed or not; the longest, of 12,000 names, has 0.4e6."""

_HEAD = 128
_MATRIX, _PACKED = 14, 15
_KINDS = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13, _MATRIX, 16, 17, 18))
"""What an element may be: numbers, a matrix, text."""
_DEPTH = 32


def read_mat(content: bytes) -> dict[str, Any]:
    """Read a MATLAB file from its bytes, with sides of length 1 taken away.

    Raises:
        MissingExtraError: If scipy is not installed.
        ValueError: If it is broken.
    """
    reader = require("scipy.io", "archives", "reading a .mat file")
    try:
        _check(content)
        return dict(reader.loadmat(io.BytesIO(content), squeeze_me=True))
    # It answers broken files with whatever went wrong inside it.
    except Exception as error:
        raise ValueError(expected("read_mat", "a MATLAB file", Words(error))) from error


def _check(content: bytes) -> None:
    """Check the elements of a file and what its packed parts stand for.

    scipy makes room for whatever a part says that it unpacks to, and looks up the kind of an
    element in a table whose end it does not heed: a foreign number there ends the process.

    Raises:
        ValueError: If that is more than ``MAT_LIMIT`` bytes, or no such file.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[_HEAD - 2 : _HEAD])
    if order is None:
        raise ValueError("a head of another kind or version")
    place, left = _HEAD, MAT_LIMIT
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        part = content[place + 8 : place + 8 + size]
        if kind == _PACKED:
            unpacker = zlib.decompressobj()
            part = unpacker.decompress(part, left + 1)
            left -= len(part)
            if left >= 0 and not unpacker.eof:
                raise ValueError("a packed part that is cut off or damaged")
        else:
            part = content[place : place + 8] + part
        if left < 0 or len(content) > MAT_LIMIT:
            raise ValueError(f"more than {MAT_LIMIT} bytes in it")
        _check_elements(part, order)
        place += 8 + size


def _check_elements(content: bytes, order: str) -> None:
    """Check that each element is of a known kind and ends within the one that it is part of."""
    level = [(0, len(content))]
    for _ in range(_DEPTH):
        below = []
        for start, end in level:
            while start + 8 <= end:
                kind, size = struct.unpack_from(f"{order}II", content, start)
                body, small = start + 8, kind >> 16
                if small:  # At most four bytes, in place of the size.
                    kind, size, body = kind & 0xFFFF, small, start + 4
                if kind not in _KINDS or body + size > end or small > 4:
                    raise ValueError(f"a damaged element at byte {start}")
                if kind == _MATRIX:
                    below.append((body, body + size))
                start = start + 8 if small else body + size + -size % 8
        level = below
    if level:
        raise ValueError(f"elements nested deeper than {_DEPTH}")

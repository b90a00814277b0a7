"""MATLAB files (version 5) of data sets, looked through before scipy reads them."""

from __future__ import annotations

import io
import math
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
        ValueError: If that is more than ``MAT_LIMIT`` bytes or values, or no such file.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[_HEAD - 2 : _HEAD])
    if order is None:
        raise ValueError("a head of another kind or version")
    place, left, values = _HEAD, MAT_LIMIT, 0
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
        values += _check_elements(part, order)
        if values > MAT_LIMIT:
            raise ValueError(f"matrices of more than {MAT_LIMIT} values")
        place += 8 + size


def _check_elements(content: bytes, order: str) -> int:
    """Check that each element is of a known kind and ends within the one that it is part of.

    Returns:
        How many values the sides of its matrices stand for.
    """
    level, values = [(0, len(content))], 0
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
                    values += _values(content[body : body + size], order)
                start = start + 8 if small else body + size + -size % 8
        level = below
    if level:
        raise ValueError(f"elements nested deeper than {_DEPTH}")
    return values


def _values(matrix: bytes, order: str) -> int:
    """How many values a matrix says that it has: the product of its second element, its sides.

    scipy makes room for them before it looks whether they are there.
    """
    if len(matrix) < 24:
        return 0  # An empty one has no elements at all.
    kind, size = struct.unpack_from(f"{order}II", matrix, 16)
    place, room = (20, 4) if kind >> 16 else (24, min(size, len(matrix) - 24))
    found: int = abs(math.prod(struct.unpack_from(f"{order}{room // 4}i", matrix, place)))
    return found

"""What lies in which shard: one JSON file beside the shards, so that order needs no reading."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foveate.core import Words, expected
from foveate.core.files import write_bytes
from foveate.core.reading import parse_json

INDEX = "index.json"
_FORMAT = "foveate-shards-1"
_SHA256 = re.compile("[0-9a-f]{64}")
_RULE, _REMEDY = f"an index of format {_FORMAT}", "make it again: foveate shards --index"
_COLUMNS = ("labels", "offsets", "sizes")


@dataclass(frozen=True, eq=False)
class Shard:
    """One tar of a data set.

    Attributes:
        name: Path of the tar from the index.
        bytes: Its size.
        sha256: Of the whole tar, in hexadecimal.
        files: (N,) of bytes, the name of each image in it, in the order of the tar.
        labels: (N,) int64.
        offsets: (N,) int64, the first byte of each image.
        sizes: (N,) int64, its number of bytes.
    """

    name: str
    bytes: int
    sha256: str
    files: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    offsets: np.ndarray[Any, Any]
    sizes: np.ndarray[Any, Any]

    def __len__(self) -> int:
        return len(self.files)

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        files = [bytes(name).decode() for name in self.files]
        columns = {name: getattr(self, name).tolist() for name in _COLUMNS}
        head = {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}
        return head | {"files": files} | columns

    @staticmethod
    def from_json(tree: dict[str, Any]) -> Shard:
        """Read what ``to_json`` made.

        Raises:
            KeyError: If something is missing.
            TypeError: If something is of another type.
            OverflowError: If a number has more than 64 bits.
            ValueError: If the columns differ in length, the name leads out of the folder, or an
                image does not lie in the shard.
        """
        columns = {name: np.array(tree[name], dtype=np.int64) for name in _COLUMNS}
        names = [name.encode() for name in tree["files"]]
        name, size, sha256 = str(tree["name"]), int(tree["bytes"]), str(tree["sha256"])
        if {column.shape for column in columns.values()} != {(len(names),)}:
            raise ValueError(f"columns of {name} differ in length")
        # Both become paths on this machine, where what was fetched must not choose the folder.
        leads_out = name.startswith("/") or ".." in name.split("/") or not name or "\0" in name
        if leads_out or not _SHA256.fullmatch(sha256):
            raise ValueError(f"a shard {name!r} with checksum {sha256!r}")
        if not 0 <= size < 2**63:
            raise ValueError(f"a shard of {size} bytes")
        offsets, sizes = columns["offsets"], columns["sizes"]
        if (offsets < 0).any() or (sizes < 0).any() or (offsets > size - sizes).any():
            raise ValueError(f"images beyond the {size} bytes of {name}")
        return Shard(
            name,
            size,
            sha256,
            np.array(names, dtype=np.bytes_),
            *(columns[name] for name in _COLUMNS),
        )


@dataclass(frozen=True)
class ShardIndex:
    """The classes of a data set and the shards of each split."""

    classes: tuple[str, ...]
    splits: dict[str, tuple[Shard, ...]]

    def save(self, folder: Path) -> None:
        """Write ``index.json`` in one step.

        Raises:
            OSError: If it cannot be written.
        """
        tree = {
            "format": _FORMAT,
            "classes": list(self.classes),
            "splits": {
                split: [shard.to_json() for shard in shards]
                for split, shards in self.splits.items()
            },
        }
        write_bytes(folder / INDEX, json.dumps(tree, separators=(",", ":")).encode())

    @staticmethod
    def parse(content: bytes, where: str) -> ShardIndex:
        """Read the content of an ``index.json``.

        Raises:
            ValueError: If it is none; ``where`` names it.
        """
        try:
            tree = parse_json(content, where, _RULE, _REMEDY)
            if tree["format"] != _FORMAT:
                raise ValueError(f"format {tree['format']!r}")
            splits = {
                split: tuple(Shard.from_json(shard) for shard in shards)
                for split, shards in tree["splits"].items()
            }
            index = ShardIndex(tuple(map(_name, tree["classes"])), splits)
            for shard in (shard for shards in splits.values() for shard in shards):
                if len(shard) and not 0 <= shard.labels.min() <= shard.labels.max() < len(
                    index.classes
                ):
                    raise ValueError(f"labels of {shard.name} beyond {len(index.classes)} classes")
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            got = Words(f"{type(error).__name__}: {error}")
            raise ValueError(expected(where, _RULE, got, _REMEDY)) from error
        return index


def _name(value: Any) -> str:
    """Return the name of a class, if it is one."""
    if not isinstance(value, str):
        raise TypeError(f"a class {value!r}")
    value.encode()
    return value


def load_index(folder: Path) -> ShardIndex | None:
    """Read the index of a local folder, None if it has none.

    Raises:
        ValueError: If it is broken.
    """
    file = folder / INDEX
    return ShardIndex.parse(file.read_bytes(), str(file)) if file.is_file() else None

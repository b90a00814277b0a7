"""A data set whose images lie in tar shards, here or elsewhere."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

from foveate.core import Words, check_ratio, expected
from foveate.data.cached import cache_folder
from foveate.data.files import FileDataset
from foveate.data.samples import check_index
from foveate.data.shards.cache import CachedShards, LocalShards
from foveate.data.shards.index import INDEX, Shard, ShardIndex
from foveate.data.shards.remote import UnreachableError, is_remote, join, read_url, shown
from foveate.data.tars import read_range

_WHO = "shards"
_EVICTIONS = 10


class ShardDataset(FileDataset):
    """The images of one split, in the order of the shards and of each shard.

    Args:
        source: Gives each shard a path on this machine.
        shards: The shards.
        classes: Names of the classes.
    """

    def __init__(
        self, source: LocalShards | CachedShards, shards: Sequence[Shard], classes: Sequence[str]
    ) -> None:
        self.source, self.shards, self.classes = source, tuple(shards), tuple(classes)
        self._starts = list(accumulate((len(shard) for shard in shards), initial=0))
        # One object a class: reading a million of them would copy their memory in every worker.
        numbers = list(range(len(self.classes)))
        self._labels = tuple(numbers[label] for shard in shards for label in shard.labels.tolist())

    @property
    def labels(self) -> Sequence[int]:
        """The label of each image, from the index."""
        return self._labels

    @property
    def blocks(self) -> tuple[range, ...]:
        """The places of each shard."""
        return tuple(range(start, stop) for start, stop in pairwise(self._starts))

    def __len__(self) -> int:
        return len(self._labels)

    def _find(self, index: int) -> tuple[Shard, int]:
        home = bisect_right(self._starts, index) - 1
        return self.shards[home], index - self._starts[home]

    def key_of(self, index: int) -> str:
        """Return the name of the shard and that of the image in it."""
        shard, place = self._find(index)
        return f"{shard.name}/{bytes(shard.files[place]).decode()}"

    def name_of(self, index: int) -> str:
        """Return where the shard lies, and the name of the image in it."""
        shard, place = self._find(check_index(index, len(self)))
        return f"{self.source.locate(shard)}/{bytes(shard.files[place]).decode()}"

    def read_bytes(self, index: int) -> bytes:
        """Return the image's bytes, fetching its shard if need be.

        Raises:
            UnreachableError: If the shard cannot be had.
            OSError: If it cannot be read.
        """
        shard, place = self._find(index)
        for _ in range(_EVICTIONS):
            try:
                span = int(shard.offsets[place]), int(shard.sizes[place])
                return read_range(self.source.path(shard), *span)
            except FileNotFoundError as error:
                # Another process made room between the look and the reading: look again.
                gone = error
            except PermissionError as error:
                # Nothing that concerns one image alone, which the data set would leave out.
                rule = "a shard and a cache folder that may be used"
                raise UnreachableError(
                    expected(self.source.locate(shard), rule, Words(error), "name another cache")
                ) from error
        raise UnreachableError(
            expected(
                self.source.locate(shard),
                "a shard that stays while it is read",
                Words(gone),
                "put it back, or make cache_gb larger",
            )
        )


def open_shards(
    place: str, split: str, *, cache: str | None = None, cache_gb: float = 20.0
) -> ShardDataset:
    """Open what ``foveate shards`` wrote or indexed: tars in WebDataset's form, and an index.

    Labels and order come from ``index.json``; no image is read for them. On this machine shards
    are read in place; from elsewhere each is fetched whole when one of its images is wanted.

    Args:
        place: A folder, or any URL that fsspec opens: https, s3 (with s3fs), gs (with gcsfs).
        split: ``"train"`` or ``"val"``.
        cache: Folder for fetched shards, shared by all processes and runs; by default ``shards``
            in the user's cache folder (``$FOVEATE_CACHE``, ``~/.cache/foveate``).
        cache_gb: Room for them in 1e9 bytes, at most 1e6. Fewer than a shard for each worker
            process means that shards are fetched over and over.

    Raises:
        OSError: If the index cannot be fetched.
        ValueError: If there is no index, it is broken or lacks the split, or a shard on this
            machine is missing or has another size than the index says.
    """
    if cache is not None and not isinstance(cache, str):
        raise TypeError(expected(_WHO, "a folder as cache", Words(type(cache).__name__)))
    check_ratio(_WHO, "cache_gb", cache_gb, upper=1e6)
    source: LocalShards | CachedShards
    if is_remote(place):
        url = join(place, INDEX)
        index = ShardIndex.parse(read_url(url), shown(url))
        folder = Path(cache).expanduser() if cache else cache_folder() / "shards"
        source = CachedShards(place, folder, int(cache_gb * 1e9))
    else:
        folder = Path(place.removeprefix("file://")).expanduser()
        file = folder / INDEX
        if not file.is_file():
            remedy = f"make it: foveate shards --index {folder}, or foveate shards SOURCE {folder}"
            got = Words("no such file" if folder.is_dir() else f"no folder {folder}")
            raise ValueError(expected(_WHO, f"{INDEX} in {folder}", got, remedy))
        index = ShardIndex.parse(file.read_bytes(), str(file))
        source = LocalShards(folder)
    if split not in index.splits:
        got = Words(", ".join(index.splits) or "none")
        raise ValueError(expected(_WHO, f"the split {split!r} in {shown(place)}", got))
    if isinstance(source, LocalShards):
        for shard in index.splits[split]:
            _check_local(source.path(shard), shard)
    return ShardDataset(source, index.splits[split], index.classes)


def _check_local(path: Path, shard: Shard) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != shard.bytes:
        got = Words("no such file" if size is None else f"{size}")
        remedy = "copy the shard again, or index the folder again: foveate shards --index FOLDER"
        raise ValueError(expected(str(path), f"{shard.bytes} bytes", got, remedy))

"""One word for stereo pairs: what ``open_stereo`` understands."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from foveate.core import Words, check_choice, check_positive_int, expected, suggest
from foveate.data import Unreadable
from foveate.data.pairs import StereoDataset, StereoSample
from foveate.data.scenes.stereo import StereoOptions, StereoScenes
from foveate.data.split import shuffled
from foveate.stereo.data.folder import LAYOUT, StereoFolder, open_folder
from foveate.training.loading import MEMORY_LIMIT_BYTES

_WHO = "open_stereo"


class Kept(StereoDataset):
    """Pairs that are drawn once and kept, as long as there is room for them.

    Args:
        source: The pairs.
    """

    def __init__(self, source: StereoDataset) -> None:
        self.source = source
        self._kept: dict[int, StereoSample | Unreadable] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> StereoSample | Unreadable:
        found = self._kept.get(index)
        if found is None:
            found = self.source[index]
            if self._bytes < MEMORY_LIMIT_BYTES:
                self._kept[index] = found
                self._bytes += 0 if isinstance(found, Unreadable) else _bytes_of(found)
        return found

    def name_of(self, index: int) -> str:
        """Return the name of a pair."""
        return self.source.name_of(index)


def _bytes_of(sample: StereoSample) -> int:
    parts = (sample.left, sample.right, sample.disparity, sample.valid, sample.occluded)
    return sum(one.nbytes for one in parts if one is not None)


def open_stereo(
    source: str,
    split: str,
    *,
    size: int = 64,
    width: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    **options: Any,
) -> StereoDataset:
    """Open rectified pairs with disparities.

    Args:
        source: ``"scenes"`` (generated), or a folder with ``train`` and ``val``, or without, that
            hold ``left/``, ``right/`` and ``disparity/``, see ``StereoFolder``.
        split: ``"train"`` or ``"val"``.
        size: Rows of generated pairs.
        width: Columns of generated pairs.
        seed: Of generated pairs, of the choice that ``limit`` makes, and of the split of a folder.
        limit: At most so many pairs.
        **options: For scenes, the fields of ``StereoOptions``.

    Raises:
        FileNotFoundError: If the folder is not there, or has another layout.
        TypeError: If the source is no string.
        ValueError: If an option is unknown, or pairs are incomplete.

    Example:
        >>> pairs = open_stereo("scenes", "val", size=32, width=48, limit=2)
        >>> len(pairs), pairs[1].left.shape
        (2, torch.Size([3, 32, 48]))
    """
    if not isinstance(source, str):
        raise TypeError(expected(_WHO, "a string source", Words(type(source).__name__)))
    check_choice(_WHO, "split", split, ("train", "val"))
    if limit is not None:
        check_positive_int(_WHO, "limit", limit)
    known = [field.name for field in fields(StereoOptions)] if source == "scenes" else []
    for name in options:
        if name not in known:
            remedy = suggest(name, known) if known else "a folder has none"
            raise ValueError(expected(f"{_WHO}({source!r})", "a known option", name, remedy))
    if source == "scenes":
        asked = StereoOptions(**options)
        made = StereoScenes(split, size=size, width=width, seed=seed, count=limit, options=asked)
        return Kept(made)
    root = Path(source).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(expected(_WHO, f"scenes, or {LAYOUT}", source))
    dataset = open_folder(root, split, seed)
    if limit is None or limit >= len(dataset):
        return dataset
    kept = sorted(shuffled(dataset.names, seed)[:limit])
    return StereoFolder(dataset.folder, [dataset.names[place] for place in kept])

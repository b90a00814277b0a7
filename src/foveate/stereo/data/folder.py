"""Pairs in a folder: left/, right/ and disparity/, by name, with train and val or one split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.data import Unreadable
from foveate.data.folder import image_files
from foveate.data.images import UnreadableImageError, read_image
from foveate.data.pairs import StereoDataset, StereoSample
from foveate.data.samples import check_index
from foveate.data.split import split_places
from foveate.stereo.data.formats import EXTENSIONS, DisparityError, read_disparity, read_mask

LAYOUT = (
    "FOLDER/train and FOLDER/val (or FOLDER itself) with left/, right/ and disparity/ of the same"
    " names, and occluded/ if known"
)


class StereoFolder(StereoDataset):
    """Rectified pairs of one folder, each of its own size.

    Args:
        folder: With ``left/``, ``right/`` and ``disparity/``; files of one pair share their path
            without the ending. ``occluded/`` (masks, not black where the right view does not show
            what the left one does) may be there.
        names: Paths without endings, those of the pairs to show; None shows all.

    Raises:
        FileNotFoundError: If a folder is missing or empty.
        ValueError: If a file of a pair is missing; the first of them are named.
    """

    def __init__(self, folder: Path, names: Sequence[str] | None = None) -> None:
        self.folder = folder
        found = {
            "left": by_name(folder / "left"),
            "right": by_name(folder / "right"),
            "disparity": by_name(folder / "disparity", EXTENSIONS),
        }
        masks = folder / "occluded"
        if masks.is_dir():
            found["occluded"] = by_name(masks)
        every = list(dict.fromkeys(name for files in found.values() for name in files))
        lost = [f"{kind}/{name}" for name in every for kind in found if name not in found[kind]]
        if lost:
            more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
            got = Words(f"none for {', '.join(lost[:5])}{more}")
            raise ValueError(expected(str(folder), "the same names in its folders", got))
        self.names = list(every if names is None else names)
        self.files = found

    def __len__(self) -> int:
        return len(self.names)

    def name_of(self, index: int) -> str:
        """Return the path of the left view, seen from the folder."""
        name = self.names[check_index(index, len(self))]
        return self.files["left"][name].relative_to(self.folder).as_posix()

    def __getitem__(self, index: int) -> StereoSample | Unreadable:
        index = check_index(index, len(self))
        paths = {kind: files[self.names[index]] for kind, files in self.files.items()}
        kind = "left"
        try:
            left = read_image(paths[kind])
            kind = "right"
            right = read_image(paths[kind])
            kind = "disparity"
            disparity, known = (torch.from_numpy(one) for one in read_disparity(paths[kind]))
            kind = "occluded"
            occluded = torch.from_numpy(read_mask(paths[kind])) if kind in paths else None
        except (UnreadableImageError, DisparityError) as error:
            where = paths[kind].relative_to(self.folder).as_posix()
            return Unreadable(index, self.name_of(index), f"{where}: {error}")
        maps = {"right": right[0], "disparity": disparity, "occluded": occluded}
        for kind, one in maps.items():
            if one is not None and one.shape != left.shape[1:]:
                where = paths[kind].relative_to(self.folder).as_posix()
                reason = f"{where} is {_size(one)} and the left view {_size(left)}"
                return Unreadable(index, self.name_of(index), reason)
        if not known.any():
            where = paths["disparity"].relative_to(self.folder).as_posix()
            return Unreadable(index, self.name_of(index), f"{where}: no disparity is known")
        hidden = None if occluded is None else occluded & known
        return StereoSample(left, right, disparity, known, hidden, index, self.name_of(index))


def open_folder(root: Path, split: str, seed: int) -> StereoFolder:
    """Open a split of a folder of pairs.

    Args:
        root: The folder; one without ``train`` and ``val`` is split by a hash of seed and name, a
            fifth for val.
        split: ``"train"`` or ``"val"``.
        seed: Of that split.

    Raises:
        FileNotFoundError: If folders are missing or hold nothing.
        ValueError: If pairs are incomplete, or there are too few to split.
    """
    parts = [part for part in ("train", "val") if (root / part).is_dir()]
    if len(parts) == 1:
        remedy = f"add {root / ({'train', 'val'} - set(parts)).pop()}"
        raise FileNotFoundError(expected(str(root), LAYOUT, Words(f"only {parts[0]}"), remedy))
    if parts:
        return StereoFolder(root / split)
    whole = StereoFolder(root)
    train, val = split_places([0] * len(whole), whole.names, seed)
    chosen = train if split == "train" else val
    if not chosen:
        got = Words(f"{len(whole)} pair")
        raise ValueError(expected(str(root), "two pairs or more to split", got))
    return StereoFolder(root, [whole.names[place] for place in chosen])


def by_name(folder: Path, extensions: Sequence[str] | None = None) -> dict[str, Path]:
    """Return the files of a folder by their path without the ending."""
    if not folder.is_dir():
        got = Words(f"no folder {folder.name}")
        raise FileNotFoundError(expected(str(folder.parent), LAYOUT, got))
    files = image_files(folder) if extensions is None else image_files(folder, extensions)
    if not files:
        kinds = "images" if extensions is None else " or ".join(extensions)
        raise FileNotFoundError(expected(str(folder), f"{kinds} in it", Words("none")))
    found: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            got = Words(f"{found[name].name} and {path.name}")
            raise ValueError(expected(str(folder), "one file of a name", got))
        found[name] = path
    return found


def _size(map_: Tensor) -> str:
    return f"{map_.shape[-1]}x{map_.shape[-2]}"

"""Write generated pairs as a folder that ``open_stereo`` reads, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from foveate.core import Words, expected
from foveate.core.files import write_bytes
from foveate.data.scenes.stereo import StereoOptions, StereoScenes
from foveate.stereo.data.formats import png_bytes, write_mask, write_pfm

_PARTIAL = ".partial-stereo"


def write_stereo_scenes(
    folder: Path,
    *,
    count: int = 400,
    val: int = 100,
    size: int = 64,
    width: int | None = None,
    seed: int = 0,
    options: StereoOptions | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write ``train`` and ``val``, each with ``left/``, ``right/``, ``disparity/``, ``occluded/``.

    Everything is made in a hidden folder inside and moved at the end.

    Args:
        folder: Made if missing; must be empty.
        count: Pairs in train.
        val: Pairs in val.
        size: Rows.
        width: Columns; None is one and a half times the rows.
        seed: Another seed gives other pairs.
        options: What to show.
        tell: Told how many pairs are done, of how many.

    Raises:
        OSError: If it cannot be written; nothing half is left behind.
        ValueError: If the folder is not empty, or an option is wrong.
    """
    who = "write_stereo_scenes"
    if folder.exists() and not folder.is_dir():
        raise ValueError(expected(who, "a folder to write to", str(folder), "this is a file"))
    there = sorted(one.name for one in folder.glob("*") if one.name != _PARTIAL)
    if there:
        got = Words(f"{folder} with {', '.join(there[:5])}")
        raise ValueError(expected(who, "an empty folder", got, "name another"))
    splits = [
        StereoScenes(split, size=size, width=width, seed=seed, count=number, options=options)
        for split, number in (("train", count), ("val", val))
    ]
    existed, partial, done = folder.exists(), folder / _PARTIAL, 0
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for scenes in splits:
            for index in range(len(scenes)):
                _write(partial / scenes.split, scenes, index)
                done += 1
                tell(done, count + val)
        for scenes in splits:
            (partial / scenes.split).rename(folder / scenes.split)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not existed and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    return folder


def _write(root: Path, scenes: StereoScenes, index: int) -> None:
    pair, name = scenes[index], f"{index:06d}"
    for view, image in (("left", pair.left), ("right", pair.right)):
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        write_bytes(root / view / f"{name}.png", png_bytes(pixels))
    write_pfm(root / "disparity" / f"{name}.pfm", pair.disparity.numpy())
    if pair.occluded is not None:
        write_mask(root / "occluded" / f"{name}.png", pair.occluded.numpy())

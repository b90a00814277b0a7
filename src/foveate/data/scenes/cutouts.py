"""A user's own cut-outs and backgrounds as material of the scenes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from foveate.core import Words, expected, require
from foveate.data.folder import image_files, natural_key, subfolders
from foveate.data.images import UnreadableImageError, open_image, read_image
from foveate.data.scenes.shapes import Plane, Stamp
from foveate.data.split import split_places

_WHO = "scenes"
_HELD_OUT_FROM = 5
"""A class of so many cut-outs keeps a fifth of them for val alone."""


class MaterialError(UnreadableImageError):
    """A file of the user's that cannot be used; it knows its path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(reason)
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (MaterialError, (self.path, str(self)))


def _held_out(files: Sequence[Path], root: Path, split: str, seed: int) -> tuple[Path, ...]:
    if len(files) < _HELD_OUT_FROM:
        return tuple(files)
    names = [path.relative_to(root).as_posix() for path in files]
    train, val = split_places([0] * len(files), names, seed)
    return tuple(files[place] for place in (train if split == "train" else val))


def list_cutouts(folder: Path, split: str, seed: int) -> dict[str, tuple[Path, ...]]:
    """List the cut-outs of each class that a split may use.

    Args:
        folder: Its subfolders are the classes; without any, each file is a class by its stem.
        split: From 5 cut-outs on, a fifth of a class belongs to val and the rest to train;
            fewer serve both.
        seed: Of that choice.

    Raises:
        ValueError: If there are fewer than two classes, or a class has no cut-out.
    """
    rule = "a folder of cut-outs (png or webp with transparency) for objects"
    if not folder.is_dir():
        raise ValueError(expected(_WHO, rule, str(folder)))
    kinds = (".png", ".webp")
    groups = {path.name: image_files(path, kinds) for path in subfolders(folder)}
    if not any(groups.values()):
        loose = sorted(image_files(folder, kinds), key=lambda path: natural_key(path.stem))
        groups = {path.stem: [path] for path in loose}
    if len(groups) < 2:
        got = f"{len(groups)} class{'es' if not groups else ''} in {folder}"
        remedy = "make one subfolder a class"
        raise ValueError(expected(_WHO, f"{rule} of at least two classes", Words(got), remedy))
    for name, files in groups.items():
        if not files:
            remedy = "add png or webp files or remove the folder"
            raise ValueError(expected(_WHO, rule, Words(f"none in {folder / name}"), remedy))
    return {name: _held_out(files, folder, split, seed) for name, files in groups.items()}


def list_backgrounds(folder: Path, split: str, seed: int) -> tuple[Path, ...]:
    """List the background images of a split; from 5 on, a fifth is kept for val alone.

    Raises:
        ValueError: If there is none.
    """
    files = image_files(folder) if folder.is_dir() else []
    if not files:
        raise ValueError(expected(_WHO, "a folder of background images", str(folder)))
    return _held_out(files, folder, split, seed)


def _visible_box(image: Any) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom of the pixels of at least half opacity."""
    opaque = image.getchannel("A").point([255 if cover >= 128 else 0 for cover in range(256)])
    box: tuple[int, int, int, int] | None = opaque.getbbox()
    return box


@lru_cache(maxsize=256)
def _load_cutout(path: Path) -> Any:
    """Return the RGBA image, cropped to what is visible, at most 256 pixels a side."""
    try:
        image = open_image(path)
    except UnreadableImageError as error:
        raise MaterialError(path, str(error)) from error
    if "A" not in image.mode and "transparency" not in image.info:
        raise MaterialError(path, "no transparency: not a cut-out")
    image = image.convert("RGBA")
    box = _visible_box(image)
    if box is None:
        raise MaterialError(path, "nothing visible in it")
    image = image.crop(box)
    image.thumbnail((256, 256))
    return image


@lru_cache(maxsize=32)
def _load_background(path: Path) -> Any:
    """Return the RGB image, at most 1024 pixels a side."""
    pillow = require("PIL.Image", "models", "backgrounds")
    try:
        # Through the common reader, so that 16-bit, grey and clear images look as they should.
        pixels = read_image(path).permute(1, 2, 0).numpy()
    except UnreadableImageError as error:
        raise MaterialError(path, str(error)) from error
    image = pillow.fromarray(pixels)
    image.thumbnail((1024, 1024))
    return image


def stamp_cutout(
    path: Path, center: tuple[float, float], radius: float, angle: float, mirror: bool, size: int
) -> Stamp:
    """Draw a cut-out.

    Args:
        path: The file.
        center: Row and column in pixels.
        radius: Half of its longer side in pixels, after turning.
        angle: In radians; it turns by at most 15 degrees either way, as things stand upright.
        mirror: Whether left and right are swapped.
        size: Side of the image in pixels.

    Raises:
        MaterialError: If the file is unreadable or shows nothing.
    """
    pillow = require("PIL.Image", "models", "cut-outs")
    image = _load_cutout(path)
    if mirror:
        image = image.transpose(pillow.Transpose.FLIP_LEFT_RIGHT)
    degrees = 15.0 * np.sin(angle)
    image = image.rotate(degrees, resample=pillow.Resampling.BICUBIC, expand=True)
    image = image.crop(_visible_box(image))
    ratio = 2 * radius / max(image.size)
    width, height = (max(1, min(size, round(side * ratio))) for side in image.size)
    image = image.resize((width, height), resample=pillow.Resampling.LANCZOS)
    pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    top = min(max(round(center[0] - height / 2), 0), size - height)
    left = min(max(round(center[1] - width / 2), 0), size - width)
    return Stamp(top, left, pixels[3], pixels[:3])


def paint_background(path: Path, draws: Sequence[float], size: int) -> Plane:
    """Cut a square out of a background image.

    Args:
        path: The file.
        draws: Three draws in [0, 1): share of the shorter side (from half to all of it), row,
            column.
        size: Side of the result in pixels.

    Returns:
        (3, size, size) float32 in [0, 1].

    Raises:
        MaterialError: If the file is unreadable.
    """
    pillow = require("PIL.Image", "models", "backgrounds")
    image = _load_background(path)
    width, height = image.size
    side = min(width, height) * (0.5 + 0.5 * draws[0])
    top, left = draws[1] * (height - side), draws[2] * (width - side)
    box = (left, top, left + side, top + side)
    square = image.resize((size, size), resample=pillow.Resampling.BILINEAR, box=box)
    pixels: Plane = np.asarray(square, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    return pixels

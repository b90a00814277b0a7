"""A folder of images and of masks whose pixels are class numbers, as Pascal VOC has them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.core import Words, expected, require
from foveate.core.reading import read_text
from foveate.data import Unreadable
from foveate.data.folder import image_files
from foveate.data.images import (
    FORMATS,
    UnreadableImageError,
    image_bytes,
    open_image,
    to_tensor,
)
from foveate.data.split import shuffled
from foveate.segmentation.data.samples import BACKGROUND, IGNORED, MapDataset

_LAYOUT = (
    "lay it out as FOLDER/images/{train,val} and FOLDER/masks/{train,val}, as"
    " FOLDER/{train,val}/images and masks, or as FOLDER/images and FOLDER/masks"
)
_VAL_SHARE = 0.2
_NUMBERS = ("1", "L", "P", "I", "I;16")
_SIDEWAYS = 5


class MaskFiles(MapDataset):
    """Images with a PNG of class numbers each, of the same name, grey or with a palette.

    Number 255 is ignored. ``classes.txt`` in the folder names the classes, a line each from number
    0 on; without it all masks are read once for the largest number, and the names are the numbers.

    Args:
        folder: ``images`` and ``masks``, each with ``train`` and ``val`` or inside of them; without
            either, a fifth of the images is for validation, chosen by a hash of seed and name.
        split: ``"train"`` or ``"val"``.
        seed: Of the choice.
        limit: At most so many images.

    Raises:
        FileNotFoundError: If there is no such folder, or an image without a mask.
        ValueError: If an image and its mask differ in size; the first such file is named.
    """

    def __init__(
        self, folder: Path, split: str, *, seed: int = 0, limit: int | None = None
    ) -> None:
        self.folder = folder
        pairs = _pairs(folder, split, seed)
        if limit is not None and limit < len(pairs):
            kept = sorted(shuffled([image.stem for image, _ in pairs], seed)[:limit])
            pairs = [pairs[place] for place in kept]
        for image, mask in pairs:
            _check_sizes(image, mask)
        self.pairs = pairs
        self.classes = _names(folder, seed)

    def __len__(self) -> int:
        return len(self.pairs)

    def name_of(self, index: int) -> str:
        """Return the path of the image."""
        return str(self.pairs[index][0])

    def read(self, index: int) -> tuple[Tensor, Tensor] | Unreadable:
        """Return an image and its map, or which of the two cannot be read and why."""
        image_file, mask_file = self.pairs[index]
        at = image_file
        try:
            image = to_tensor(open_image(image_file))
            at = mask_file
            classes = read_mask(mask_file)
        except (UnreadableImageError, OSError) as error:
            return Unreadable(index, str(at), str(error))
        if image.shape[1:] != classes.shape:
            rule = f"the size of its image, {tuple(image.shape[1:])}"
            raise ValueError(expected(str(mask_file), rule, tuple(classes.shape)))
        strange = classes[(classes != IGNORED) & (classes >= len(self.classes))]
        if strange.numel():
            rule = f"class numbers below {len(self.classes)}, or {IGNORED}"
            remedy = f"name all classes in {self.folder / 'classes.txt'}"
            raise ValueError(expected(str(mask_file), rule, int(strange.max()), remedy))
        return image, classes


def read_mask(file: Path) -> Tensor:
    """Read a PNG of class numbers as (H, W) uint8.

    Raises:
        UnreadableImageError: If it cannot be read, or its pixels are no numbers of classes.
    """
    picture = open_image(file)
    if picture.mode not in _NUMBERS:
        raise UnreadableImageError(f"a picture in {picture.mode}, no mask of class numbers")
    numbers = np.asarray(picture)
    if numbers.size and not 0 <= int(numbers.min()) <= int(numbers.max()) <= IGNORED:
        raise UnreadableImageError(f"class numbers up to {int(numbers.max())}, beyond {IGNORED}")
    return torch.from_numpy(numbers.astype(np.uint8))


def is_mask_folder(folder: Path) -> bool:
    """Whether a folder is laid out as this module reads it."""
    return any((folder / part / "masks").is_dir() for part in ("", "train", "val"))


def _pairs(folder: Path, split: str, seed: int) -> list[tuple[Path, Path]]:
    """List the images of a split with their masks."""
    for images, masks in (
        (folder / "images" / split, folder / "masks" / split),
        (folder / split / "images", folder / split / "masks"),
    ):
        if images.is_dir() and masks.is_dir():
            return _paired(images, masks)
    images, masks = folder / "images", folder / "masks"
    places = [(masks / part, folder / part / "masks") for part in ("train", "val")]
    halves = any(one.is_dir() or other.is_dir() for one, other in places)
    if not (images.is_dir() and masks.is_dir()) or halves:
        got = Words(f"{folder} without {split}" if halves else f"{folder}, which has none")
        raise FileNotFoundError(expected("open_segmentation", "images and masks", got, _LAYOUT))
    pairs = _paired(images, masks)
    if len(pairs) < 2:
        raise ValueError(expected("open_segmentation", f"two images to split in {images}", 1))
    order = shuffled([image.stem for image, _ in pairs], seed)
    count = max(1, round(_VAL_SHARE * len(pairs)))
    chosen = order[:count] if split == "val" else order[count:]
    return [pairs[place] for place in sorted(chosen)]


def _paired(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    files = image_files(images)
    pairs = [(one, masks / one.relative_to(images).with_suffix(".png")) for one in files]
    missing = [mask for _, mask in pairs if not mask.is_file()]
    if missing or not pairs:
        rule = f"a mask for each image in {images}" if pairs else f"images in {images}"
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        got = Words(f"no {missing[0]}{more}" if missing else "none")
        raise FileNotFoundError(expected("open_segmentation", rule, got))
    return pairs


def _check_sizes(image: Path, mask: Path) -> None:
    """Compare the sizes in the heads of two files; what has no readable head is told later."""
    sizes = [_size(file) for file in (image, mask)]
    if None not in sizes and sizes[0] != sizes[1]:
        rule = f"the size of {image}, {sizes[0]}"
        raise ValueError(expected(str(mask), rule, sizes[1]))


def _size(file: Path) -> tuple[int, int] | None:
    pillow: Any = require("PIL.Image", "models", "reading masks")
    try:
        with pillow.open(io.BytesIO(image_bytes(file)), formats=FORMATS) as picture:
            width, height = picture.size
            turned = picture.getexif().get(0x0112, 1) >= _SIDEWAYS
    except Exception:  # Whatever a broken file makes Pillow raise: reading it will say.
        return None
    return (width, height) if turned else (height, width)


def _names(folder: Path, seed: int) -> tuple[str, ...]:
    """Read the names of the classes, or number them."""
    file = folder / "classes.txt"
    if file.is_file():
        # A blank line within would shift the names after it.
        names = [line.strip() for line in read_text(file).rstrip().splitlines()]
        if not 2 <= len(names) <= IGNORED or len(set(names)) < len(names) or "" in names:
            rule = f"2 to {IGNORED} names of classes, each once, a line each"
            raise ValueError(expected(str(file), rule, Words(f"{len(names)} lines")))
        return tuple(names)
    largest = 1
    for split in ("train", "val"):
        for _, mask in _pairs(folder, split, seed):
            try:
                numbers = read_mask(mask)
            except (UnreadableImageError, OSError):
                continue
            judged = numbers[numbers != IGNORED]
            largest = max(largest, int(judged.max()) if judged.numel() else 0)
    return (BACKGROUND, *(str(number) for number in range(1, largest + 1)))

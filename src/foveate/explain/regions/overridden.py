"""Regions drawn by hand, which win over all others."""

from __future__ import annotations

import hashlib
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from foveate.core import Words, expected
from foveate.data.images import UnreadableImageError
from foveate.data.samples import ImageDataset
from foveate.explain.regions.pictures import read_mask
from foveate.explain.regions.region import Region, RegionSource, image_key, override_path
from foveate.explain.regions.weights import file_digest

_WHO = "regions drawn by hand"


class Overridden:
    """Another source's regions, except where a folder holds a mask drawn by hand.

    The mask of an image lies at the image's path inside its data set, with ``.png`` behind it:
    ``val/cat/7.jpg.png`` for ``val/cat/7.jpg`` (``override_path`` tells it, and so does the
    contact sheet). White is the object; all black says that there is none. The class asked for
    does not matter.

    Args:
        source: Asked where there is no such mask.
        folder: Where the masks lie.

    Raises:
        ValueError: If there is no such folder.
    """

    def __init__(self, source: RegionSource, folder: str | Path) -> None:
        self.source, self.folder = source, Path(folder).expanduser()
        if not self.folder.is_dir():
            raise ValueError(expected(_WHO, "a folder that exists", str(folder)))

    @cached_property
    def _files(self) -> dict[str, Path]:
        """The masks by their path, in one form of Unicode: systems differ in the one they keep."""
        return {
            _composed(path.relative_to(self.folder).as_posix()): path
            for path in sorted(self.folder.rglob("*"))
            if path.suffix.lower() == ".png" and path.is_file()
        }

    def describe(self) -> dict[str, Any]:
        """Return what the source says of itself, with the names and digests of the masks."""
        masks = {name: file_digest(path) for name, path in self._files.items()}
        whole = hashlib.sha256(repr(sorted(masks.items())).encode()).hexdigest()
        return {**self.source.describe(), "overrides": {"count": len(masks), "sha256": whole}}

    def unmatched(self, dataset: ImageDataset) -> list[str]:
        """Return the masks that belong to no image of ``dataset``: most likely misnamed."""
        names = {self._name(dataset, index) for index in range(len(dataset))}
        return sorted(set(self._files) - names)

    def _name(self, dataset: ImageDataset, index: int) -> str:
        path = override_path(self.folder, image_key(dataset, index))
        return _composed(path.relative_to(self.folder).as_posix())

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Return the mask drawn by hand for one image, else what the source says.

        Raises:
            ValueError: If the mask cannot be read, or is of another size than the image.
        """
        name = self._name(dataset, index)
        path = self._files.get(name)
        if path is None:
            return self.source.region(dataset, index, image, class_name)
        try:
            mask = read_mask(path)
        except UnreadableImageError as error:
            got = Words(str(error))
            raise ValueError(expected(str(path), "a mask that can be read", got)) from error
        height, width = image.shape[1:]
        if mask.shape != (height, width):
            rule = f"a mask of the image's size, {width}x{height} pixels"
            got = Words("x".join(str(side) for side in reversed(mask.shape)))
            raise ValueError(
                expected(str(path), rule, got, "draw it on the upright image at its full size")
            )
        detail = {"file": name}
        if not mask.any():
            return Region(None, "override", "drawn by hand: no object here", detail)
        return Region(mask, "override", "", detail)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)

"""Regions kept on disk: each with all that it depends on, so that none is ever out of date."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from foveate.core import expected
from foveate.core.environment import timestamp, versions
from foveate.core.files import write_bytes, write_json
from foveate.core.reading import read_object
from foveate.data.images import UnreadableImageError
from foveate.data.samples import ImageDataset
from foveate.explain.regions.pictures import mask_png, read_mask, small_jpeg
from foveate.explain.regions.region import Region, RegionSource, asked_class, image_key

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """One region of a cache.

    Attributes:
        path: The JSON file; the mask (PNG) and a small picture (JPEG) lie beside it.
        name: The image's name in its data set.
        class_name: What was asked for, None without a class.
        size: Height and width of the image.
        settings: What the source was.
        region: The region.
    """

    path: Path
    name: str
    class_name: str | None
    size: tuple[int, int]
    settings: dict[str, Any]
    region: Region


class Cached:
    """Another source's regions, kept in a folder.

    An entry is found by the digest of the image's pixels, the class and everything the source
    describes itself by: prompt, thresholds, digests of the models' files. A changed setting or a
    changed image is another entry. Each is a PNG of the mask and a JSON file that says where it
    comes from, both written whole or not at all, the JSON last; a damaged entry is made anew.
    Several processes may share a folder.

    Args:
        source: What makes the regions.
        folder: Made when the first region is kept.

    Attributes:
        read: How many regions came from the folder.
        made: How many had to be made.

    Raises:
        ValueError: If the folder is a file.
    """

    def __init__(self, source: RegionSource, folder: str | Path) -> None:
        self.source, self.folder = source, Path(folder).expanduser()
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(expected("Cached", "a folder for regions", str(folder)))
        self.read = self.made = 0

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return self.source.describe()

    def describe(self) -> dict[str, Any]:
        """Return what the source says of itself; where its regions are kept changes nothing."""
        return dict(self._settings)

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Return the region of one image, from the folder where it is there.

        Raises:
            OSError: If it cannot be written.
        """
        asked, name = asked_class(dataset, index, class_name), image_key(dataset, index)
        pixels = pixel_digest(image)
        wanted = [FORMAT, self._settings, pixels, asked]
        text = json.dumps(wanted, sort_keys=True, ensure_ascii=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / f"{_slug(name)}-{key[:20]}.json"
        entry = read_entry(path, key)
        if entry is not None:
            self.read += 1
            return entry.region
        region = self.source.region(dataset, index, image, class_name)
        self.made += 1
        digest = None
        if region.mask is not None:
            mask = mask_png(region.mask)
            digest = hashlib.sha256(mask).hexdigest()
            write_bytes(_mask_path(path, digest), mask)
        write_bytes(path.with_suffix(".jpg"), small_jpeg(image))
        content = {
            "format": FORMAT,
            "key": key,
            "image": {"name": name, "sha256": pixels, "size": list(image.shape[1:])},
            "class": asked,
            "region": {
                "source": region.source,
                "reason": region.reason,
                "mask_sha256": digest,
                "detail": dict(region.detail),
            },
            "settings": self._settings,
            "made": timestamp(),
            "versions": versions(("foveate", "torch", "transformers")),
        }
        write_json(path, content)
        return region


def _mask_path(path: Path, digest: str) -> Path:
    # Named by its content: of two processes that make an entry at once, and not bit by bit the
    # same, either's JSON file names its own mask.
    return path.with_name(f"{path.stem}-{digest[:8]}.png")


def pixel_digest(image: Tensor) -> str:
    """Return the SHA-256 of the size and the pixels of a (3, H, W) uint8 image."""
    digest = hashlib.sha256(repr(tuple(image.shape)).encode())
    digest.update(image.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def _slug(name: str) -> str:
    """Shorten a name to what every file system takes; the digest behind it tells it apart."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_]+", "-", last).strip("-")[:60] or "image"


def read_entry(path: Path, key: str | None = None) -> Entry | None:
    """Read an entry of a cache.

    Args:
        path: Its JSON file.
        key: What its key must be.

    Returns:
        None if there is none, it is damaged, or has another key.
    """
    try:
        content = read_object(path)
        height, width = content["image"]["size"]
        told = content["region"]
        if content["format"] != FORMAT or key not in (None, content["key"]):
            return None
        mask = None
        if told["mask_sha256"] is not None:
            png = _mask_path(path, told["mask_sha256"]).read_bytes()
            if hashlib.sha256(png).hexdigest() != told["mask_sha256"]:
                return None
            mask = read_mask(png)
            if mask.shape != (height, width):
                return None
        region = Region(mask, told["source"], told["reason"], dict(told["detail"]))
        if (mask is None) != bool(region.reason):
            return None
        name, asked = str(content["image"]["name"]), content["class"]
        return Entry(path, name, asked, (height, width), dict(content["settings"]), region)
    except (AttributeError, KeyError, OSError, TypeError, UnreadableImageError, ValueError):
        return None

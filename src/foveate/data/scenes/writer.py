"""Write scenes to disk as a folder by class with COCO annotations, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from foveate.core import Words, expected, require
from foveate.data.coco import encode_mask, mask_box, to_xywh
from foveate.data.samples import Annotation, Unreadable
from foveate.data.scenes.dataset import Scenes
from foveate.data.scenes.options import SceneOptions

_PARTS = ("train", "val", "annotations")
_PARTIAL = ".partial-scenes"


@dataclass(frozen=True)
class WrittenScenes:
    """What was written.

    Attributes:
        folder: Where.
        classes: Names of the classes.
        images: Images in each split.
        unreadable: Images left out because a cut-out or background could not be read.
    """

    folder: Path
    classes: tuple[str, ...]
    images: dict[str, int]
    unreadable: list[Unreadable] = field(default_factory=list)


def write_scenes(
    folder: Path,
    *,
    count: int = 1000,
    val: int = 200,
    size: int = 96,
    seed: int = 0,
    options: SceneOptions | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenScenes:
    """Write a data set that ``open_dataset(folder, ...)`` and COCO tools read.

    It holds ``train/CLASS/*.png``, ``val/CLASS/*.png`` and for each split
    ``annotations/SPLIT.json`` in COCO's format: one box and exact mask per object (mask as
    uncompressed run lengths), ``file_name`` relative to the folder. Beyond COCO, an image's
    entry has ``cue`` (``bbox``, ``segmentation`` and ``far``) where there is a marker, and
    ``info`` holds the options. Everything is made in a hidden folder inside and moved at the end.

    Args:
        folder: Made if missing; must be empty unless ``force``.
        count: Images in train.
        val: Images in val.
        size: Side of the images in pixels.
        seed: Another seed gives other images.
        options: What to show.
        force: Replace ``train``, ``val`` and ``annotations`` in the folder; other content stays.
        progress: Called after each image with how many are done, and of how many.

    Raises:
        OSError: If it cannot be written; nothing half is left behind.
        TypeError: If a number is none.
        ValueError: If the folder is not empty, or an option is wrong.
        MissingExtraError: If Pillow is not installed.
    """
    who = "write_scenes"
    if folder.exists() and not folder.is_dir():
        raise ValueError(expected(who, "a folder to write to", str(folder), "this is a file"))
    visible = (
        sorted(p.name for p in folder.glob("*") if p.name != _PARTIAL) if folder.exists() else []
    )
    if visible and not force:
        got = f"{folder} with {', '.join(visible[:5])}"
        remedy = "name another folder, or replace its train, val and annotations with --force"
        raise ValueError(expected(who, "an empty folder", Words(got), remedy))
    splits = [
        Scenes("train", size=size, seed=seed, count=count, options=options),
        Scenes("val", size=size, seed=seed, count=val, options=options),
    ]
    existed = folder.exists()
    partial = folder / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    images: dict[str, int] = {}
    unreadable: list[Unreadable] = []
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, count + val)

    try:
        partial.mkdir(parents=True)
        for scenes in splits:
            images[scenes.split] = _write_split(partial, scenes, unreadable, tick)
        if not all(images.values()):
            reason = f"{unreadable[0].name}: {unreadable[0].reason}"
            raise ValueError(expected(who, "readable cut-outs and backgrounds", Words(reason)))
        for part in _PARTS:
            if (folder / part).exists():
                shutil.rmtree(folder / part)
            (partial / part).rename(folder / part)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if not existed and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    return WrittenScenes(folder, splits[0].classes, images, unreadable)


def _write_split(
    root: Path, scenes: Scenes, unreadable: list[Unreadable], tick: Callable[[], None]
) -> int:
    """Write the images and the annotations of a split; return the number of images."""
    pillow = require("PIL.Image", "models", "writing images")
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    for name in scenes.classes:
        (root / scenes.split / name).mkdir(parents=True)
    for index in range(len(scenes)):
        item, note = scenes[index], scenes.annotation(index)
        tick()
        if isinstance(item, Unreadable) or note is None:
            if isinstance(item, Unreadable):
                unreadable.append(item)
            continue
        name = f"{scenes.split}/{scenes.classes[item.label]}/{index:06d}.png"
        pillow.fromarray(item.image.permute(1, 2, 0).numpy()).save(root / name)
        images.append(_image_entry(name, index, scenes.size, note))
        objects += _object_entries(index, len(objects), note)
    content = {
        "info": {"description": "foveate scenes", "split": scenes.split} | _recipe(scenes),
        "licenses": [],
        "images": images,
        "annotations": objects,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(scenes.classes)],
    }
    (root / "annotations").mkdir(exist_ok=True)
    file = root / "annotations" / f"{scenes.split}.json"
    file.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return len(images)


def _recipe(scenes: Scenes) -> dict[str, Any]:
    """Return what makes the same images again; folders by name, not by where they lie."""
    options = asdict(scenes.options)
    for key in ("objects", "backgrounds"):
        options[key] = Path(options[key]).name if options[key] is not None else None
    return {"seed": scenes.seed, "size": scenes.size, "count": scenes.count, "options": options}


def _image_entry(name: str, index: int, size: int, note: Annotation) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": index + 1, "file_name": name, "width": size, "height": size}
    if note.cue is not None:
        marker = note.mask & ~note.masks.any(dim=0)
        entry["cue"] = {
            "bbox": to_xywh(mask_box(marker)),
            "segmentation": encode_mask(marker),
            "far": bool(note.far),
        }
    return entry


def _object_entries(index: int, written: int, note: Annotation) -> list[dict[str, Any]]:
    return [
        {
            "id": written + place + 1,
            "image_id": index + 1,
            "category_id": int(label) + 1,
            "bbox": to_xywh(box),
            "area": int(mask.sum()),
            "iscrowd": 0,
            "segmentation": encode_mask(mask),
        }
        for place, (box, label, mask) in enumerate(
            zip(note.boxes, note.labels, note.masks, strict=True)
        )
    ]

"""One word for images with boxes: what ``open_detection`` understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foveate.core import Words, check_choice, check_positive_int, expected
from foveate.detection.data.boxes import BoxFiles, chosen, read_header
from foveate.detection.data.coco import read_coco
from foveate.detection.data.generated import SceneBoxes
from foveate.detection.data.samples import DetectionDataset

_WHO = "open_detection"


def open_detection(
    source: str,
    split: str,
    *,
    size: int = 96,
    seed: int = 0,
    limit: int | None = None,
    **options: Any,
) -> DetectionDataset:
    """Open images with boxes.

    Args:
        source: ``"scenes"`` (generated); a folder in COCO's layout, with
            ``annotations/{split}.json`` as ``foveate scenes`` writes it or
            ``annotations/instances_{split}2017.json``; or ``"coco:ANNOTATIONS.json[:IMAGES]"``, in
            which ``{split}`` stands for the split.
        split: ``"train"`` or ``"val"``.
        size: Side in pixels of generated images.
        seed: Of generated images, and of the choice that ``limit`` makes.
        limit: At most so many images.
        **options: For scenes, ``count`` and the fields of ``SceneOptions``; none otherwise.

    Raises:
        FileNotFoundError: If the annotations or the images are not there.
        ValueError: If the source or an option is unknown, or the annotations cannot be used.

    Example:
        >>> scenes = open_detection("scenes", "val", size=32, limit=4)
        >>> scenes[0].boxes.shape, scenes.truth()["images"][0]["id"]
        (torch.Size([1, 4]), 1)
    """
    check_choice(_WHO, "split", split, ("train", "val"))
    if limit is not None:
        check_positive_int(_WHO, "limit", limit)
    if source == "scenes":
        return SceneBoxes(split, size=size, seed=seed, limit=limit, **options)
    if options:
        got = Words(", ".join(options))
        raise ValueError(expected(f"{_WHO}({source!r})", "no options", got, "remove them"))
    head, _, place = source.partition(":")
    file, folders = _coco(place, split) if head == "coco" else _layout(source, split)
    found = read_coco(file)
    folder = _folder_of([image["file_name"] for image in found.images], folders, file)
    found = read_coco(file, lambda name: read_header(folder / name))
    return BoxFiles(chosen(found, limit, seed), folder)


def _coco(place: str, split: str) -> tuple[Path, list[Path]]:
    """Return the file of ``ANNOTATIONS.json[:IMAGES]``, and where the images may lie."""
    place = place.replace("{split}", split)
    head, colon, tail = place.rpartition(".json:")
    file = Path(f"{head}.json" if colon else place).expanduser()
    if colon:
        return file, [Path(tail).expanduser()]
    part = file.stem.rpartition("_")[2]
    return file, [file.parent, file.parent.parent / part, file.parent / part, file.parent.parent]


def _layout(source: str, split: str) -> tuple[Path, list[Path]]:
    """Return the annotation file of a folder, and where its images may lie."""
    root = Path(source).expanduser()
    names = (f"{split}.json", f"instances_{split}2017.json", f"instances_{split}.json")
    for name in names:
        file = root / "annotations" / name
        if file.is_file():
            part = file.stem.removeprefix("instances_")
            return file, [root, root / part, root / "images" / part, root / "images"]
    rule = "scenes, coco:ANNOTATIONS.json[:IMAGES] or a folder in COCO's layout"
    got = Words(f"no annotations/{names[0]} or {names[1]} in it") if root.is_dir() else source
    who = f"{_WHO}({source!r})" if root.is_dir() else _WHO
    raise FileNotFoundError(expected(who, rule, got))


def _folder_of(names: list[str], folders: list[Path], file: Path) -> Path:
    """Return the first folder that holds some of the first images."""
    for folder in folders:
        if any((folder / name).is_file() for name in names[:20]):
            return folder
    where = " or ".join(str(folder) for folder in folders)
    remedy = f"name their folder, coco:{file}:FOLDER"
    got = Words("no such file")
    raise FileNotFoundError(expected(_WHO, f"{names[0]} in {where}", got, remedy))

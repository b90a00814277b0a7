"""One word for images with boxes: what ``open_detection`` understands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foveate.core import Words, check_choice, check_positive_int, expected
from foveate.data.files import holds
from foveate.data.split import shuffled
from foveate.detection.data.boxes import BoxFiles
from foveate.detection.data.coco import check_coco, load_coco
from foveate.detection.data.generated import SceneBoxes
from foveate.detection.data.headers import headers_in
from foveate.detection.data.samples import DetectionDataset
from foveate.detection.data.voc import open_voc

_WHO = "open_detection"
_KINDS = "scenes, coco:ANNOTATIONS.json[:IMAGES], voc:FOLDER or a folder in COCO's layout"


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

    Annotations are checked whole; ``problems`` of the data set says what is wrong in them.

    Args:
        source: ``"scenes"`` (generated); a folder in COCO's layout, with
            ``annotations/{split}.json`` as ``foveate scenes`` writes it or
            ``annotations/instances_{split}2017.json``; or ``"coco:ANNOTATIONS.json[:IMAGES]"``, in
            which ``{split}`` stands for the split; or ``"voc:FOLDER"`` with Pascal VOC's XML,
            see ``open_voc``.
        split: ``"train"`` or ``"val"``.
        size: Side in pixels of generated images.
        seed: Of generated images, of the choice that ``limit`` makes, and of the split of a
            ``voc:`` folder without lists.
        limit: At most so many images.
        **options: For scenes, ``count`` and the fields of ``SceneOptions``. For files,
            ``check_images=False`` does not look at the head of each image, see ``read_coco``; for
            ``voc:``, also ``origin``.

    Raises:
        FileNotFoundError: If the annotations or the images are not there.
        TypeError: If the source is no string.
        ValueError: If the source or an option is unknown, or the annotations cannot be used.

    Example:
        >>> scenes = open_detection("scenes", "val", size=32, limit=4)
        >>> scenes[0].boxes.shape, scenes.truth()["images"][0]["id"]
        (torch.Size([1, 4]), 1)
    """
    if not isinstance(source, str):
        raise TypeError(expected(_WHO, "a string source", Words(type(source).__name__)))
    check_choice(_WHO, "split", split, ("train", "val"))
    if limit is not None:
        check_positive_int(_WHO, "limit", limit)
    if source == "scenes":
        return SceneBoxes(split, size=size, seed=seed, limit=limit, **options)
    head, colon, place = source.partition(":")
    voc = bool(colon) and head == "voc"
    _refuse_unknown(source, options, ("check_images", "origin") if voc else ("check_images",))
    if voc:
        dataset = open_voc(Path(place).expanduser(), split, seed=seed, **options)
    else:
        dataset = _open_coco(source, split, **options)
    if limit is None or limit >= len(dataset):
        return dataset
    names = [image.name for image in dataset.table.images]
    kept = sorted(shuffled(names, seed)[:limit])
    return BoxFiles(dataset.table.only(kept), dataset.folder)


def _refuse_unknown(source: str, options: dict[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(set(options) - set(known))
    if unknown:
        rule, got = f"no option but {' and '.join(known)}", Words(", ".join(unknown))
        raise ValueError(expected(f"{_WHO}({source!r})", rule, got))


def _open_coco(source: str, split: str, check_images: bool = True) -> BoxFiles:
    head, colon, place = source.partition(":")
    file, folders = (
        _coco(place, split) if (head, colon) == ("coco", ":") else _layout(source, split)
    )
    content = load_coco(file)
    names = [image.get("file_name") for image in content["images"] if isinstance(image, dict)]
    folder = _folder_of([name for name in names if isinstance(name, str)], folders, file)
    look = headers_in(folder) if check_images else None
    return BoxFiles(check_coco(content, str(file), look), folder)


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
    got = Words(f"no annotations/{names[0]} or {names[1]} in it") if root.is_dir() else source
    who = f"{_WHO}({source!r})" if root.is_dir() else _WHO
    raise FileNotFoundError(expected(who, _KINDS, got))


def _folder_of(names: Sequence[str], folders: Sequence[Path], file: Path) -> Path:
    """Return the first folder that holds any of the images; of a file without names, the first."""
    for folder in folders:
        if not names or any(holds(folder, name) for name in names):
            return folder
    where = " or ".join(str(folder) for folder in folders)
    remedy = f"name their folder, coco:{file}:FOLDER"
    got = Words("no such file")
    raise FileNotFoundError(expected(_WHO, f"{names[0]} in {where}", got, remedy))

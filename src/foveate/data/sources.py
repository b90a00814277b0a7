"""One word for a data set: what ``open_dataset`` understands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveate.core import Words, check_choice, check_positive_int, expected, suggest
from foveate.data.archives import open_cifar100, open_fashion_mnist
from foveate.data.coco_images import open_coco
from foveate.data.dogs import open_stanford_dogs
from foveate.data.files import FileDataset
from foveate.data.folder import FolderDataset, image_files, subfolders
from foveate.data.imagenet import open_imagenet
from foveate.data.images import EXTENSIONS
from foveate.data.loose import LooseImages
from foveate.data.samples import ImageDataset, Subset
from foveate.data.scenes import SceneOptions, Scenes
from foveate.data.shards import open_shards
from foveate.data.split import stratified

_WHO = "open_dataset"


@dataclass(frozen=True)
class _Place:
    """A kind of data that lie somewhere.

    Attributes:
        open: Called with where they lie, the split, and the options.
        default: Where they lie unless told, None if that must be told.
        options: Names of the options.
    """

    open: Callable[..., ImageDataset]
    default: str | None = None
    options: tuple[str, ...] = ()


def _folder_of(opener: Callable[..., ImageDataset]) -> Callable[..., ImageDataset]:
    def open_in(root: str, split: str, **options: Any) -> ImageDataset:
        return opener(Path(root).expanduser(), split, **options)

    return open_in


_PLACES = {
    "cifar100": _Place(_folder_of(open_cifar100), "data"),
    "fashion-mnist": _Place(_folder_of(open_fashion_mnist), "data"),
    "imagenet": _Place(_folder_of(open_imagenet), "data/imagenet"),
    "shards": _Place(open_shards, None, ("cache", "cache_gb")),
    "stanford-dogs": _Place(
        _folder_of(open_stanford_dogs), "data/stanford-dogs", ("crop", "margin")
    ),
}
SOURCES = ("scenes", *_PLACES)


def parse_source(source: str) -> tuple[str, str | None]:
    """Take a source apart.

    Args:
        source: ``scenes``, ``fashion-mnist[:ROOT]``, ``cifar100[:ROOT]``, ``imagenet[:ROOT]``,
            ``stanford-dogs[:ROOT]``, ``shards:FOLDER_OR_URL`` or a folder of images by class
            (write ``./scenes`` for a folder of that name).

    Returns:
        The kind (one of ``SOURCES``, or ``"folder"``) and where it lies, None for generated
        images.

    Raises:
        TypeError: If it is no string.
        ValueError: If it is neither a known word nor an existing folder; near words are named.

    Example:
        >>> parse_source("imagenet"), parse_source("shards:s3://bucket/pets")
        (('imagenet', 'data/imagenet'), ('shards', 's3://bucket/pets'))
    """
    if not isinstance(source, str):
        raise TypeError(expected(_WHO, "a string source", Words(type(source).__name__)))
    head, colon, root = source.partition(":")
    place = _PLACES.get(head)
    if place is not None and (root or (not colon and place.default)):
        return head, root or place.default
    if source == "scenes":
        return source, None
    path = Path(source).expanduser()
    if source and path.is_dir():
        return "folder", str(path)
    if source and path.exists():
        rule = "a folder of images by class"
        raise ValueError(expected(_WHO, rule, source, "this is a file: name its folder"))
    words = [f"{name}[:ROOT]" for name, place in _PLACES.items() if place.default]
    rule = f"scenes, {', '.join(words)}, shards:FOLDER_OR_URL or an existing folder"
    raise ValueError(expected(_WHO, rule, source, suggest(head, SOURCES)))


def _open_scenes(
    split: str, size: int, seed: int, limit: int | None, options: dict[str, Any]
) -> Scenes:
    known = [field.name for field in dataclasses.fields(SceneOptions)]
    _refuse_unknown("scenes", options, ["count", *known])
    count = options.pop("count", None)
    if count is None:
        count = limit
    return Scenes(split, size=size, seed=seed, count=count, options=SceneOptions(**options))


def _refuse_unknown(who: str, options: dict[str, Any], known: list[str]) -> None:
    for name in options:
        if name not in known:
            remedy = suggest(name, known) if known else "remove it"
            rule = "a known option" if known else "no options"
            raise ValueError(expected(who, rule, name, remedy))


def open_dataset(
    source: str,
    split: str,
    *,
    size: int = 64,
    seed: int = 0,
    limit: int | None = None,
    **options: Any,
) -> ImageDataset:
    """Open a data set.

    Args:
        source: ``"scenes"`` (generated); ``"fashion-mnist[:ROOT]"``, ``"cifar100[:ROOT]"``,
            ``"imagenet[:ROOT]"`` or ``"stanford-dogs[:ROOT]"`` (ROOT is ``data``, or
            ``data/imagenet`` and ``data/stanford-dogs``, unless given; nothing is downloaded);
            ``"shards:FOLDER_OR_URL"``, what ``foveate shards`` wrote, on a disk or wherever
            fsspec reads; or a folder of images by class.
        split: ``"train"`` or ``"val"``.
        size: Side in pixels of generated images; images from files keep their own size, which a
            transform brings to one.
        seed: Of the generated images, of the split of a folder without train and val, and of
            the choice that ``limit`` makes. Keep it the same over runs that are compared.
        limit: At most so many images, chosen so that the classes keep their shares; for scenes
            without ``count``, the number of images made.
        **options: For scenes, ``count`` and the fields of ``SceneOptions``; for Stanford Dogs,
            ``crop`` and ``margin``; for shards, ``cache`` (a folder) and ``cache_gb``; none
            otherwise.

    Returns:
        A data set: ``.classes``, ``.labels``, ``len()``, ``[i]`` (a Sample or Unreadable),
        ``.name_of(i)``, ``.annotation(i)`` and ``.blocks``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the source, the split or an option is unknown, or the data are missing or
            unusable; the text says what to do.

    Example:
        >>> dataset = open_dataset("scenes", "val", size=32, limit=16)
        >>> len(dataset), dataset[3].image.dtype
        (16, torch.uint8)
    """
    check_choice(_WHO, "split", split, ("train", "val"))
    if limit is not None:
        check_positive_int(_WHO, "limit", limit)
    kind, root = parse_source(source)
    dataset: ImageDataset
    if root is None:
        dataset = _open_scenes(split, size, seed, limit, options)
    elif kind == "folder":
        _refuse_unknown(f"{_WHO}({source!r})", options, [])
        dataset = FolderDataset(Path(root), split, seed)
    else:
        _refuse_unknown(f"{_WHO}({source!r})", options, list(_PLACES[kind].options))
        dataset = _PLACES[kind].open(root, split, **options)
    return limited(dataset, limit, seed)


def open_images(
    source: str | Path,
    *,
    split: str = "val",
    size: int = 64,
    seed: int = 0,
    limit: int | None = None,
    **options: Any,
) -> ImageDataset:
    """Open images to look at: a data set, COCO annotations, or images that belong to no class.

    Args:
        source: All that ``open_dataset`` takes; ``"coco:ANNOTATIONS.json[:IMAGES_FOLDER]"``;
            one image file; or any folder of images (``"loose:FOLDER"`` for one whose subfolders
            are no classes). A folder counts as one by class if it holds no images itself and two
            subfolders or more that do.
        split: ``"train"`` or ``"val"``, of no effect for COCO and loose images.
        size: Side in pixels of generated images.
        seed: As for ``open_dataset``.
        limit: At most so many images, chosen so that the classes keep their shares.
        **options: As for ``open_dataset``; none for COCO and loose images.

    Returns:
        A data set. Loose images have label -1 and ``classes`` is empty; an image of COCO has the
        class of its largest object, -1 without any.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If there is nothing to open; the text says what to do.

    Example:
        >>> images = open_images("scenes", size=32, limit=16)
        >>> len(images), images[0].name
        (16, 'scenes/val/000000')
    """
    who = "open_images"
    if not isinstance(source, (str, Path)):
        raise TypeError(expected(who, "a string source", Words(type(source).__name__)))
    check_choice(who, "split", split, ("train", "val"))
    if limit is not None:
        check_positive_int(who, "limit", limit)
    word = str(source)
    head, _, place = word.partition(":")
    path = Path(place if head == "loose" else word).expanduser()
    dataset: ImageDataset
    if head == "coco":
        dataset = open_coco(place)
    elif head == "loose" or path.is_file() or (path.is_dir() and not _by_class(word, path)):
        dataset = LooseImages(path)
    else:
        return open_dataset(word, split, size=size, seed=seed, limit=limit, **options)
    _refuse_unknown(f"{who}({word!r})", options, [])
    return limited(dataset, limit, seed)


def _by_class(word: str, folder: Path) -> bool:
    """Tell whether ``word``, an existing folder, is a known word or holds images by class."""
    if parse_source(word)[0] != "folder":
        return True
    inside = subfolders(folder)
    if {"train", "val"} & {path.name for path in inside}:
        return True
    loose = any(path.name.lower().endswith(EXTENSIONS) for path in folder.iterdir())
    return not loose and sum(bool(image_files(path)) for path in inside) >= 2


def limited(dataset: ImageDataset, limit: int | None, seed: int) -> ImageDataset:
    """Choose ``limit`` images so that the classes keep their shares; all if it is None or more."""
    if limit is None or limit >= len(dataset):
        return dataset
    return Subset(dataset, stratified(dataset.labels, stable_names(dataset), limit, seed))


def stable_names(dataset: ImageDataset) -> list[str]:
    """Name each place by what stays the same on another machine."""
    if isinstance(dataset, FileDataset):
        return [dataset.key_of(place) for place in range(len(dataset))]
    return [str(place) for place in range(len(dataset))]

"""One word for a data set: what ``open_dataset`` understands."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from foveate.core import Words, check_choice, check_positive_int, expected, suggest
from foveate.data.archives import open_cifar100, open_fashion_mnist
from foveate.data.folder import FolderDataset
from foveate.data.samples import ImageDataset, Subset
from foveate.data.scenes import SceneOptions, Scenes
from foveate.data.split import stratified

SOURCES = ("scenes", "fashion-mnist", "cifar100")
_OPENERS = {"fashion-mnist": open_fashion_mnist, "cifar100": open_cifar100}
_WHO = "open_dataset"


def parse_source(source: str) -> tuple[str, Path | None]:
    """Take a source apart.

    Args:
        source: ``scenes``, ``fashion-mnist[:ROOT]``, ``cifar100[:ROOT]`` or a folder of images
            by class (write ``./scenes`` for a folder of that name).

    Returns:
        The kind (one of ``SOURCES``, or ``"folder"``) and its folder, None for generated images.

    Raises:
        TypeError: If it is no string.
        ValueError: If it is neither a known word nor an existing folder; near words are named.

    Example:
        >>> parse_source("fashion-mnist")
        ('fashion-mnist', PosixPath('data'))
    """
    if not isinstance(source, str):
        raise TypeError(expected(_WHO, "a string source", Words(type(source).__name__)))
    head, colon, root = source.partition(":")
    if head in _OPENERS and (root or not colon):
        return head, Path(root or "data").expanduser()
    if source == "scenes":
        return source, None
    path = Path(source).expanduser()
    if source and path.is_dir():
        return "folder", path
    if source and path.exists():
        rule = "a folder of images by class"
        raise ValueError(expected(_WHO, rule, source, "this is a file: name its folder"))
    rule = "scenes, fashion-mnist[:ROOT], cifar100[:ROOT] or an existing folder"
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
        source: ``"scenes"`` (generated), ``"fashion-mnist[:ROOT]"`` or ``"cifar100[:ROOT]"``
            (ROOT is ``data`` unless given; nothing is downloaded), or a folder of images by
            class.
        split: ``"train"`` or ``"val"``.
        size: Side in pixels of generated images; images from files keep their own size, which a
            transform brings to one.
        seed: Of the generated images, of the split of a folder without train and val, and of
            the choice that ``limit`` makes. Keep it the same over runs that are compared.
        limit: At most so many images, chosen so that the classes keep their shares; for scenes
            without ``count``, the number of images made.
        **options: For scenes, ``count`` and the fields of ``SceneOptions``; none otherwise.

    Returns:
        A data set: ``.classes``, ``.labels``, ``len()``, ``[i]`` (a Sample or Unreadable) and
        ``.annotation(i)``.

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
    kind, folder = parse_source(source)
    dataset: ImageDataset
    if folder is None:
        dataset = _open_scenes(split, size, seed, limit, options)
    else:
        _refuse_unknown(f"{_WHO}({source!r})", options, [])
        opener = _OPENERS.get(kind)
        dataset = opener(folder, split) if opener else FolderDataset(folder, split, seed)
    if limit is None or limit >= len(dataset):
        return dataset
    places = stratified(dataset.labels, _stable_names(dataset), limit, seed)
    return Subset(dataset, places)


def _stable_names(dataset: ImageDataset) -> list[str]:
    """Name each place by what stays the same on another machine."""
    if isinstance(dataset, FolderDataset):
        return [path.relative_to(dataset.folder).as_posix() for path in dataset.paths]
    return [str(place) for place in range(len(dataset))]

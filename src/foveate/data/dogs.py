"""Stanford Dogs: 120 breeds by their own lists, with boxes."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from foveate.core import Words, check_choice, check_ratio, expected
from foveate.core.reading import read_file
from foveate.data.files import FolderStore, Store, StoreDataset, TarStore
from foveate.data.matlab import MAT_LIMIT, read_mat
from foveate.data.samples import Annotation, Sample, Unreadable, check_index
from foveate.data.tars import TAR_DAMAGE, member_bytes, tar_index
from foveate.data.voc import read_boxes

_WHO = "stanford-dogs"
_LISTS = {"train": "train_list.mat", "val": "test_list.mat"}
_SITE = "http://vision.stanford.edu/aditya86/ImageNetDogs/"


class StanfordDogs(StoreDataset):
    """Images of Stanford Dogs, whole or cut to the dogs.

    Args:
        images: Images by the name in the lists.
        notes: Annotations by that name without its suffix.
        keys: The names.
        labels: The breed of each.
        classes: Names of the breeds.
        crop: Whether to cut each image to the smallest box around all its boxes.
        margin: What to add to that box on each side, as a share of its width or height.
    """

    def __init__(
        self,
        images: Store,
        notes: Store,
        keys: Sequence[str],
        labels: Sequence[int],
        classes: Sequence[str],
        *,
        crop: bool = False,
        margin: float = 0.0,
    ) -> None:
        super().__init__(images, keys, labels, classes)
        self.notes, self.crop, self.margin = notes, crop, margin

    def _boxes(self, index: int, height: int, width: int) -> Tensor:
        """Return the boxes of an image of that size, (B, 4), clipped to it.

        Raises:
            ValueError: If the annotation is missing or damaged; the text is the reason.
        """
        try:
            noted = read_boxes(self.notes.read(self.key_of(index).rpartition(".")[0]))
        except FileNotFoundError:
            raise ValueError("no annotation") from None
        boxes = torch.tensor(noted.boxes, dtype=torch.float64)
        if all(noted.size):
            boxes *= torch.tensor([width / noted.size[1], height / noted.size[0]]).repeat(2)
        bounds = torch.tensor([width, height, width, height], dtype=torch.float64)
        boxes = torch.minimum(boxes.clamp(min=0), bounds)
        if not ((boxes[:, 2:] - boxes[:, :2]) > 0).all():
            raise ValueError(f"damaged annotation: a box outside the image of {width}x{height}")
        return boxes

    def _frame(self, boxes: Tensor, height: int, width: int) -> tuple[int, int, int, int]:
        """Return x1 y1 x2 y2 of what is shown of an image: whole pixels, and at least one."""
        if not self.crop:
            return 0, 0, width, height
        low, high = boxes[:, :2].amin(dim=0), boxes[:, 2:].amax(dim=0)
        more = (high - low) * self.margin
        x1, y1 = (int(edge) for edge in (low - more).floor().clamp(min=0))
        x2, y2 = (int(edge) for edge in (high + more).ceil())
        return x1, y1, min(x2, width), min(y2, height)

    def __getitem__(self, index: int) -> Sample | Unreadable:
        item = super().__getitem__(index)
        if not self.crop or isinstance(item, Unreadable):
            return item
        height, width = item.image.shape[1:]
        try:
            x1, y1, x2, y2 = self._frame(self._boxes(item.index, height, width), height, width)
        except ValueError as error:
            return Unreadable(item.index, item.name, str(error))
        return replace(item, image=item.image[:, y1:y2, x1:x2].contiguous())

    def original(self, index: int) -> tuple[bytes, str] | None:
        """Return the file of an image that is shown whole."""
        return None if self.crop else super().original(index)

    def annotation(self, index: int) -> Annotation | None:
        """Return the boxes in pixels of the image as it is shown; masks are filled boxes.

        None if the annotation is missing or damaged, or the image unreadable.
        """
        index = check_index(index, len(self))
        whole = super().__getitem__(index)
        if isinstance(whole, Unreadable):
            return None
        height, width = whole.image.shape[1:]
        try:
            boxes = self._boxes(index, height, width)
        except ValueError:
            return None
        x1, y1, x2, y2 = self._frame(boxes, height, width)
        boxes -= torch.tensor([x1, y1, x1, y1])
        masks = torch.zeros(len(boxes), y2 - y1, x2 - x1, dtype=torch.bool)
        for mask, box in zip(masks, boxes.round().int().tolist(), strict=True):
            mask[box[1] : box[3], box[0] : box[2]] = True
        labels = torch.full((len(boxes),), whole.label, dtype=torch.int64)
        return Annotation(boxes.float(), labels, masks.any(dim=0), masks)


def open_stanford_dogs(
    root: Path, split: str, *, crop: str = "none", margin: float = 0.0
) -> StanfordDogs:
    """Open Stanford Dogs (120 breeds, images of their own sizes) by its own lists.

    Images, annotations and lists are each read from the folder that was unpacked (``Images``,
    ``Annotation``, ``train_list.mat`` and ``test_list.mat``) or from the archive (``images.tar``,
    ``annotation.tar``, ``lists.tar``) in place. Boxes count pixels from 0 and are half-open;
    where an annotation was made on another size of the image, its boxes are scaled.

    Args:
        root: The folder of all this.
        split: ``"train"`` (12,000 images) or ``"val"``, the list of tests (8,580).
        crop: ``"box"`` cuts each image to the smallest box around all its annotated dogs; an
            image with a missing or damaged annotation is then Unreadable, never shown whole.
            Without it, the annotations may be absent.
        margin: With ``crop``, what to add on each side, as a share of the box, 0 to 1.

    Raises:
        ValueError: If something is missing (the text says what to fetch) or broken.
        MissingExtraError: If scipy, which reads the lists, is not installed.

    Source: Khosla et al., Novel Dataset for Fine-Grained Image Categorization, 2011.
    """
    check_choice(_WHO, "crop", crop, ("none", "box"))
    if margin != 0:
        check_ratio(_WHO, "margin", margin)
        if crop == "none":
            raise ValueError(expected(_WHO, "crop = 'box' for a margin", crop))
    listed = {part: _read_list(root, file) for part, file in _LISTS.items()}
    classes = _breeds([pair for pairs in listed.values() for pair in pairs])
    images = _store(root, "Images", "images.tar")
    notes = _store(root, "Annotation", "annotation.tar", needed=crop == "box")
    keys, labels = zip(*listed[split], strict=True)
    return StanfordDogs(images, notes, keys, labels, classes, crop=crop == "box", margin=margin)


def _read_list(root: Path, file: str) -> list[tuple[str, int]]:
    """Return the names of a list with their labels, counted from 0."""
    archive, place = root / "lists.tar", root / file
    if not (place.is_file() or archive.is_file()):
        raise _missing(root, file, archive.name)
    try:
        is_there = place.is_file()
        table = read_mat(read_file(place, MAT_LIMIT) if is_there else _member(archive, file))
        names = [str(name) for name in table["file_list"].reshape(-1)]
        labels = [int(label) - 1 for label in table["labels"].reshape(-1)]
        if not names or len(names) != len(labels) or min(labels) < 0:
            raise ValueError(f"{len(names)} names and {len(labels)} labels")
    except (AttributeError, TypeError, *TAR_DAMAGE) as error:
        where, rule = place if place.is_file() else archive / file, "a list of files and labels"
        remedy = "fetch lists.tar again"
        raise ValueError(expected(str(where), rule, Words(error), remedy)) from error
    return list(zip(names, labels, strict=True))


def _member(archive: Path, file: str) -> bytes:
    with tarfile.open(archive, "r:*") as opened:
        for name in opened.getnames():
            if Path(name).name == file:
                return member_bytes(opened, name, MAT_LIMIT)
    raise KeyError(f"no {file} in it")


def _breeds(pairs: Sequence[tuple[str, int]]) -> list[str]:
    """Name the labels by the folders of their images, ``n02085620-Chihuahua`` as Chihuahua."""
    folders: dict[int, str] = {}
    for name, label in pairs:
        folder = name.rpartition("/")[0]
        if folders.setdefault(label, folder) != folder:
            got = Words(f"{folders[label]} and {folder} for label {label + 1}")
            raise ValueError(expected(_WHO, "one folder for each label in its lists", got))
    if sorted(folders) != list(range(len(folders))):
        lost = min(set(range(max(folders) + 1)) - set(folders))
        raise ValueError(expected(_WHO, "labels without a gap", Words(f"none of {lost + 1}")))
    whole = [folders[label] for label in range(len(folders))]
    short = [folder.partition("-")[2].replace("_", " ") or folder for folder in whole]
    return short if len(set(short)) == len(short) else whole


def _store(root: Path, folder: str, archive: str, needed: bool = True) -> Store:
    small = folder.lower()
    # Unpacked here, or as a well-known mirror lays it out, images/Images.
    for name in (folder, f"{small}/{folder}", f"{small}s/{folder}", small):
        if (root / name).is_dir():
            return FolderStore(root / name)
    if (root / archive).is_file():
        return TarStore(root / archive, tar_index(root / archive), f"{folder}/")
    if needed:
        raise _missing(root, f"the folder {folder}", archive)
    return FolderStore(root / folder)


def _missing(root: Path, what: str, archive: str) -> ValueError:
    found = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    got = ", ".join(found[:8]) or ("an empty folder" if root.is_dir() else "no such folder")
    return ValueError(
        expected(
            _WHO,
            f"{what} or {archive} in {root}",
            Words(got),
            f"fetch images.tar, annotation.tar and lists.tar from {_SITE}, put them as they are"
            f" into {root}, or name their folder as stanford-dogs:FOLDER",
        )
    )

"""Boxes in Pascal VOC's XML, one file an image, checked as COCO files are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from foveate.core import Words, check_choice, expected
from foveate.core.reading import TEXT_LIMIT, parse_xml, read_file, read_text
from foveate.data.images import EXTENSIONS
from foveate.data.split import split_places
from foveate.detection.data.boxes import BoxFiles
from foveate.detection.data.coco import check_coco
from foveate.detection.data.headers import headers_in
from foveate.detection.data.problems import Problems

_XML = ("Annotations", "annotations", ".")
_IMAGES = ("JPEGImages", "images", ".")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def open_voc(
    folder: Path,
    split: str | None,
    *,
    seed: int = 0,
    origin: int = 1,
    one_class: str | None = None,
    check_images: bool = True,
) -> BoxFiles:
    """Open a folder of images with an XML file for each.

    The XML files lie in ``Annotations``, the images in ``JPEGImages`` or ``images``, or all of
    them in the folder itself. Objects marked ``difficult`` are crowds: nobody has to find them.

    Args:
        folder: Where they are.
        split: The lines of ``ImageSets/Main/{split}.txt`` where there is such a list; else
            ``"val"`` is a seeded fifth of the images and ``"train"`` the others. None for all.
        seed: Of that choice.
        origin: How the files count pixels. 1, as Pascal VOC does: from 1, and ``xmax`` is the last
            pixel of the object. 0: corners are edges between pixels, the image's own being 0.
        one_class: What to call every object, whatever the files call it.
        check_images: Whether to look at the head of each image; see ``read_coco``.

    Raises:
        FileNotFoundError: If there is no XML file.
        ValueError: If no image or no object is sound.
    """
    check_choice("open_detection", "origin", origin, (0, 1))
    files = _xml_files(folder)
    stems = sorted(files)
    chosen = set(_chosen(folder, stems, split, seed))
    home = next(home for name in _IMAGES if (home := folder / name).is_dir())
    trees = _Trees(home, origin, one_class)
    for number, stem in enumerate(stems, start=1):
        trees.take(number, files[stem], stem in chosen)
    for stem in sorted(chosen - set(stems)):
        trees.problems.note("no annotation", stem)
    look = headers_in(home) if check_images else None
    return BoxFiles(check_coco(trees.content(), str(folder), look, trees.problems), home)


def _xml_files(folder: Path) -> dict[str, Path]:
    """Return the annotation files by stem."""
    for name in _XML:
        found = {file.stem: file for file in (folder / name).glob("*.xml")}
        if found:
            return found
    rule = "a folder with Pascal VOC's Annotations/*.xml"
    got = Words(f"{folder}, {'without them' if folder.is_dir() else 'which is no folder'}")
    raise FileNotFoundError(expected("open_detection", rule, got))


def _chosen(folder: Path, stems: Sequence[str], split: str | None, seed: int) -> Sequence[str]:
    """Return the stems of a split."""
    if split is None:
        return stems
    lists = folder / "ImageSets" / "Main"
    if (lists / f"{split}.txt").is_file():
        lines = read_text(lists / f"{split}.txt", "names of images").splitlines()
        known = set(stems)
        # A line may go on with 1 or -1: whether the image holds what the list is about.
        return [
            line if line in known else line.split()[0] for line in map(str.strip, lines) if line
        ]
    train, val = split_places([0] * len(stems), stems, seed)
    return [stems[place] for place in (train if split == "train" else val)]


class _Trees:
    """XML files as the lists of a COCO file.

    Args:
        home: Where the images lie.
        origin: How the files count pixels.
        one_class: What to call every object.
    """

    def __init__(self, home: Path, origin: int, one_class: str | None) -> None:
        self.origin, self.one_class = origin, one_class
        self.problems = Problems()
        self._images: list[dict[str, Any]] = []
        self._objects: list[tuple[int, str, Any, bool]] = []
        self._classes: set[str] = set()
        self._files = {file.name for file in home.iterdir()}
        self._of_stem = {
            Path(name).stem: name
            for name in sorted(self._files)
            if Path(name).suffix.lower() in EXTENSIONS
        }

    def take(self, number: int, file: Path, wanted: bool) -> None:
        """Read a file; of one that is not wanted only the classes, which all splits share."""
        try:
            root = parse_xml(read_file(file, TEXT_LIMIT))
        except (OSError, ValueError) as error:
            if wanted:
                self.problems.note("no annotation", f"{file.name} ({error})")
            return
        for one in root.iterfind("object"):
            name = self.one_class or (one.findtext("name") or "").strip()
            if name:
                self._classes.add(name)
            elif wanted:
                self.problems.note("malformed", f"an object without a name of {file.name}")
            if name and wanted:
                difficult = (one.findtext("difficult") or "").strip() == "1"
                self._objects.append((number, name, self._box(one), difficult))
        if wanted:
            said = Path((root.findtext("filename") or "").strip()).name
            name = said if said in self._files else self._of_stem.get(file.stem, said or file.stem)
            height, width = (_edge(root.findtext(f"size/{side}")) for side in ("height", "width"))
            self._images.append({"id": number, "file_name": name, "height": height, "width": width})

    def _box(self, one: ElementTree.Element) -> Any:
        """Return x y width height, or what stands there instead of four numbers."""
        texts = [one.findtext(f"bndbox/{corner}") for corner in _CORNERS]
        edges = [edge for edge in map(_edge, texts) if edge is not None]
        if len(edges) < 4:
            return texts
        x1, y1, x2, y2 = edges
        return [x1 - self.origin, y1 - self.origin, x2 - x1 + self.origin, y2 - y1 + self.origin]

    def content(self) -> dict[str, list[Any]]:
        """Return images, annotations and categories, which count from 1 in the order of names."""
        label_of = {name: place for place, name in enumerate(sorted(self._classes), start=1)}
        return {
            "images": self._images,
            "annotations": [
                {
                    "id": place,
                    "image_id": number,
                    "category_id": label_of[name],
                    "bbox": box,
                    "iscrowd": int(difficult),
                }
                for place, (number, name, box, difficult) in enumerate(self._objects, start=1)
            ],
            "categories": [{"id": label, "name": name} for name, label in label_of.items()],
        }


def _edge(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None

"""Boxes in Pascal VOC's XML, as Stanford Dogs and ImageNet have them."""

from __future__ import annotations

from dataclasses import dataclass

from foveate.core.reading import parse_xml


@dataclass(frozen=True)
class Boxes:
    """What an annotation file says.

    Attributes:
        size: Height and width in pixels of the image that was annotated; 0 where not known.
        boxes: x1 y1 x2 y2 of each object, one or more, in its pixels, half-open.
    """

    size: tuple[int, int]
    boxes: tuple[tuple[float, float, float, float], ...]


def read_boxes(content: bytes) -> Boxes:
    """Read a Pascal-VOC annotation of one image.

    Raises:
        ValueError: If it is no such XML, has no box, or an empty one.
    """
    try:
        tree = parse_xml(content)
        sides = [int(tree.findtext(f"size/{name}") or 0) for name in ("height", "width")]
        boxes = [
            [float(box.findtext(name) or "none") for name in ("xmin", "ymin", "xmax", "ymax")]
            for box in tree.iterfind("object/bndbox")
        ]
    except ValueError as error:
        raise ValueError(f"damaged annotation: {error}") from error
    if not boxes:
        raise ValueError("annotation without a box")
    for x1, y1, x2, y2 in boxes:
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"damaged annotation: box {x1:g} {y1:g} {x2:g} {y2:g}")
    return Boxes((sides[0], sides[1]), tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in boxes))

"""Regions that come with the data: exact masks, or boxes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from foveate.core import check_choice
from foveate.data.coco_masks import fill_boxes
from foveate.data.samples import Annotation, ImageDataset, check_index
from foveate.explain.regions.region import Region

NO_ANNOTATION = "the data set has no annotation of the image"


def _annotated(
    source: str, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
) -> tuple[Annotation, Tensor, bool] | Region:
    """Find the objects of a class.

    Returns:
        The annotation, (B,) bool which of its objects are of the class, and whether the class is
        that of the image's label; or why there are none.
    """
    note = dataset.annotation(index)
    if note is None:
        return Region(None, source, NO_ANNOTATION)
    if note.mask.shape != image.shape[1:]:
        shapes = {"image": list(image.shape[1:]), "annotation": list(note.mask.shape)}
        return Region(None, source, "the annotation is of another size than the image", shapes)
    own = dataset.labels[check_index(index, len(dataset))]
    # A network may have been trained on other classes: a word that is none here cannot be found,
    # and the image's own object is meant.
    label = dataset.classes.index(class_name) if class_name in dataset.classes else own
    of_class = note.labels == label
    if not of_class.any() and (label != own or not note.mask.any()):
        return Region(None, source, "no object of the class is annotated in the image")
    return note, of_class, label == own


def _region(mask: Tensor, source: str, detail: dict[str, Any]) -> Region:
    if not mask.any():
        return Region(None, source, "the annotated objects cover no pixel of the image", detail)
    return Region(mask, source, "", detail)


class TruthRegions:
    """The masks that come with the data: generated scenes, COCO, folders with annotations.

    Where the data have boxes alone, their masks are filled boxes, and the region's ``source``
    says ``boxes``.

    Args:
        which: ``"decisive"``: all that decides the label, the object and the cue of a scene;
            ``"object"``: the objects of the class alone. They differ for scenes only.

    Raises:
        ValueError: If ``which`` is neither.

    Example:
        >>> from foveate.data import open_images
        >>> scenes = open_images("scenes", size=32, limit=16)
        >>> region = TruthRegions().region(scenes, 0, scenes[0].image, None)
        >>> region.source, region.mask.shape
        ('masks', torch.Size([32, 32]))
    """

    def __init__(self, which: str = "decisive") -> None:
        check_choice("TruthRegions", "region", which, ("decisive", "object"))
        self.which = which

    def describe(self) -> dict[str, Any]:
        """Return which masks are meant."""
        return {"kind": "masks", "which": self.which}

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Return the mask of the class's objects in one image."""
        found = _annotated("masks", dataset, index, image, class_name)
        if isinstance(found, Region):
            return found
        note, of_class, own = found
        masks = note.masks[of_class]
        boxes = fill_boxes(note.boxes[of_class].round(), *note.mask.shape)
        filled = bool(len(masks)) and bool((masks == boxes).all())
        whole = own and self.which == "decisive"
        mask = note.mask if whole else masks.any(dim=0)
        return _region(mask, "boxes" if filled else "masks", {"objects": len(masks)})


class BoxRegions:
    """The boxes that come with the data, filled: a pixel counts if its center lies in one.

    Example:
        >>> from foveate.data import open_images
        >>> scenes = open_images("scenes", size=32, limit=16)
        >>> BoxRegions().region(scenes, 0, scenes[0].image, None).source
        'boxes'
    """

    def describe(self) -> dict[str, Any]:
        """Return that boxes are meant."""
        return {"kind": "boxes"}

    def region(
        self, dataset: ImageDataset, index: int, image: Tensor, class_name: str | None
    ) -> Region:
        """Return the filled boxes of the class's objects in one image."""
        found = _annotated("boxes", dataset, index, image, class_name)
        if isinstance(found, Region):
            return found
        note, of_class, _ = found
        boxes = note.boxes[of_class]
        mask = fill_boxes(boxes, *note.mask.shape).any(dim=0)
        return _region(mask, "boxes", {"boxes": boxes.tolist()})

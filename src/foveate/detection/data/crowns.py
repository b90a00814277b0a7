"""Tree crowns from the air: the annotated photographs in the ``deepforest`` package."""

from __future__ import annotations

from pathlib import Path

from foveate.detection.data.tiles import tile
from foveate.detection.data.voc import open_voc
from foveate.detection.data.writing import WrittenBoxes


def tile_crowns(
    folder: Path,
    out: Path,
    *,
    side: int = 320,
    overlap: float = 0.1,
    keep: float = 0.3,
    val: float = 0.25,
    seed: int = 0,
) -> WrittenBoxes:
    """Cut the photographs of tree crowns into crops, in COCO's layout.

    They come with DeepForest, and none of its code is needed: ``pip download --no-deps
    deepforest`` fetches the package, a zip file, in which ``deepforest/data`` is the folder. Its
    four photographs with boxes (0.1 m a pixel, 951 crowns in all in version 2.1) are of the
    National Ecological Observatory Network. Every crown is a ``tree`` here, whether it is called
    alive, dead or neither there.

    Args:
        folder: With the photographs and their XML files.
        out: A new or empty folder.
        side: Of the crops, in pixels.
        overlap: See ``tile``, as all that follow.
        keep: Share of a box that a crop must show.
        val: Share of the pixels for validation.
        seed: Of the choice of these pixels.

    Raises:
        FileNotFoundError: If there is no XML file in the folder.
        OSError: If it cannot be written.
        ValueError: If ``out`` is not empty, or an option is out of range.

    Source: Weinstein et al., DeepForest, Methods in Ecology and Evolution 2020.
    """
    photographs = open_voc(folder, None, one_class="tree")
    return tile(photographs, out, side=side, overlap=overlap, keep=keep, val=val, seed=seed)

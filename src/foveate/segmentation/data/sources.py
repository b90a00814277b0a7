"""One word for images with class maps: what ``open_segmentation`` understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foveate.core import Words, check_choice, check_positive_int, expected
from foveate.data import open_dataset
from foveate.segmentation.data.folder import MaskFiles, is_mask_folder
from foveate.segmentation.data.masked import MaskedImages
from foveate.segmentation.data.samples import MapDataset

_WHO = "open_segmentation"
_KINDS = "scenes, a folder of images and masks, or a folder that foveate scenes wrote"


def open_segmentation(
    source: str,
    split: str,
    *,
    size: int = 96,
    seed: int = 0,
    limit: int | None = None,
    **options: Any,
) -> MapDataset:
    """Open images with the class of every pixel.

    Args:
        source: ``"scenes"`` (generated: the objects by class, on a background); a folder of
            ``images`` and ``masks``, see ``MaskFiles``; or a folder that ``foveate scenes`` wrote,
            with the masks of its annotations.
        split: ``"train"`` or ``"val"``.
        size: Side in pixels of generated images.
        seed: Of generated images, and of choices.
        limit: At most so many images.
        **options: For scenes, ``count`` and the fields of ``SceneOptions``.

    Raises:
        FileNotFoundError: If the images or the masks are not there.
        TypeError: If the source is no string.
        ValueError: If the source or an option is unknown, or a mask differs from its image.

    Example:
        >>> scenes = open_segmentation("scenes", "val", size=32, limit=4, cue="none")
        >>> scenes.classes, scenes[0].classes.shape
        (('background', 'disc', 'cross', 'triangle', 'ring'), torch.Size([32, 32]))
    """
    if not isinstance(source, str):
        raise TypeError(expected(_WHO, "a string source", Words(type(source).__name__)))
    check_choice(_WHO, "split", split, ("train", "val"))
    if limit is not None:
        check_positive_int(_WHO, "limit", limit)
    if source == "scenes":
        scenes = open_dataset(source, split, size=size, seed=seed, limit=limit, **options)
        return MaskedImages(scenes)
    if options:
        got = Words(", ".join(sorted(options)))
        raise ValueError(expected(f"{_WHO}({source!r})", "no option", got))
    folder = Path(source).expanduser()
    if is_mask_folder(folder):
        return MaskFiles(folder, split, seed=seed, limit=limit)
    if (folder / "annotations").is_dir():
        return MaskedImages(open_dataset(source, split, seed=seed, limit=limit))
    got = Words(f"neither in {folder}" if folder.is_dir() else source)
    raise FileNotFoundError(expected(_WHO, _KINDS, got))

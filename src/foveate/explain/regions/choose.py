"""One word for where regions come from: what ``open_regions`` understands."""

from __future__ import annotations

from foveate.core import Words, check_choice, expected
from foveate.data.samples import ImageDataset
from foveate.explain.regions.region import NoRegions, RegionSource
from foveate.explain.regions.truth import BoxRegions, TruthRegions

HOW = ("auto", "masks", "boxes", "grounded-sam", "none")
_WHO = "open_regions"


def open_regions(
    how: str = "auto",
    *,
    dataset: ImageDataset | None = None,
    which: str = "decisive",
) -> RegionSource:
    """Choose where the regions of images come from.

    Args:
        how: ``"masks"`` or ``"boxes"`` that come with the data; ``"none"``; or ``"auto"``: masks
            or boxes where the data have them.
        dataset: The images, which ``"auto"`` looks into.
        which: For masks, ``"decisive"`` or ``"object"``.

    Returns:
        The source: ``.region(dataset, index, image, class_name)`` and ``.describe()``.

    Raises:
        ValueError: If an argument is none of these.

    Example:
        >>> open_regions("boxes").describe()
        {'kind': 'boxes'}
    """
    check_choice(_WHO, "kind of regions", how, HOW)
    if how == "boxes":
        return BoxRegions()
    if how == "masks":
        return TruthRegions(which)
    if how == "auto":
        if dataset is None:
            raise ValueError(expected(_WHO, "dataset for 'auto'", Words("none")))
        if _annotated(dataset):
            return TruthRegions(which)
        return NoRegions("the data have neither masks nor boxes")
    return NoRegions()


def _annotated(dataset: ImageDataset) -> bool:
    """Tell whether one of a few images, spread over the data, is annotated."""
    step = max(1, len(dataset) // 8)
    return any(dataset.annotation(index) is not None for index in range(0, len(dataset), step))

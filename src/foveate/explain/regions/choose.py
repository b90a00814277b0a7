"""One word for where regions come from: what ``open_regions`` understands."""

from __future__ import annotations

import warnings
from pathlib import Path

from foveate.core import Words, check_choice, expected
from foveate.data.samples import ImageDataset, Subset
from foveate.explain.regions.cached import Cached
from foveate.explain.regions.grounded import DETECTOR, SEGMENTER, GroundedSam
from foveate.explain.regions.overridden import Overridden
from foveate.explain.regions.region import NoRegions, RegionSource
from foveate.explain.regions.truth import BoxRegions, TruthRegions
from foveate.explain.regions.words import SLOT

HOW = ("auto", "masks", "boxes", "grounded-sam", "none")
_WHO = "open_regions"


def open_regions(
    how: str = "auto",
    *,
    dataset: ImageDataset | None = None,
    which: str = "decisive",
    detector: str | None = None,
    segmenter: str | None = None,
    prompt: str = SLOT,
    box_threshold: float = 0.35,
    text_threshold: float = 0.25,
    region: str = "union",
    device: str = "cpu",
    cache: str | Path | None = None,
    overrides: str | Path | None = None,
) -> RegionSource:
    """Choose where the regions of images come from.

    Args:
        how: ``"masks"`` or ``"boxes"`` that come with the data; ``"grounded-sam"``, found by the
            name of the class; ``"none"``; or ``"auto"``: masks or boxes where the data have them,
            else ``"grounded-sam"`` if a model was named, else none.
        dataset: The images. ``"auto"`` needs it; with ``overrides``, masks that belong to none
            of its images are warned of.
        which: For masks, ``"decisive"`` or ``"object"``, see ``TruthRegions``.
        detector: For ``"grounded-sam"``: folder or hub id, by default the small Grounding DINO.
        segmenter: Likewise, by default the base SAM.
        prompt: See ``GroundedSam``, as the next four.
        box_threshold: Score above which a box counts.
        text_threshold: Score above which a word is named.
        region: ``"union"`` or ``"best"``.
        device: Where the models run.
        cache: A folder in which regions that models found are kept.
        overrides: A folder of masks drawn by hand, which win.

    Returns:
        The source: ``.region(dataset, index, image, class_name)`` and ``.describe()``.

    Raises:
        TypeError: If a threshold is no number.
        ValueError: If an argument is none of these.

    Example:
        >>> open_regions("boxes").describe()
        {'kind': 'boxes'}
    """
    check_choice(_WHO, "kind of regions", how, HOW)
    nothing = NoRegions()
    if how == "auto":
        if dataset is None:
            raise ValueError(expected(_WHO, "dataset for 'auto'", Words("none")))
        found = "grounded-sam" if detector or segmenter else "none"
        how = "masks" if _annotated(dataset) else found
        nothing = NoRegions("the data have neither masks nor boxes, and no models were named")
    source: RegionSource
    if how == "masks":
        source = TruthRegions(which)
    elif how == "boxes":
        source = BoxRegions()
    elif how == "grounded-sam":
        source = GroundedSam(
            detector or DETECTOR,
            segmenter or SEGMENTER,
            prompt=prompt,
            box_threshold=box_threshold,
            text_threshold=text_threshold,
            region=region,
            device=device,
        )
        if cache is not None:
            source = Cached(source, cache)
    else:
        source = nothing
    if overrides is None:
        return source
    drawn = Overridden(source, overrides)
    if dataset is not None:
        _warn_of_unmatched(drawn, dataset)
    return drawn


def _annotated(dataset: ImageDataset) -> bool:
    """Tell whether one of a few images, spread over the data, is annotated."""
    step = max(1, len(dataset) // 8)
    return any(dataset.annotation(index) is not None for index in range(0, len(dataset), step))


def _warn_of_unmatched(drawn: Overridden, dataset: ImageDataset) -> None:
    # A limit leaves images out for which masks may have been drawn.
    whole = dataset.base if isinstance(dataset, Subset) else dataset
    lost = drawn.unmatched(whole)
    if lost:
        some = ", ".join(lost[:3]) + (" and more" if len(lost) > 3 else "")
        warnings.warn(
            f"{len(lost)} masks drawn by hand belong to no image of the data: {some}", stacklevel=3
        )

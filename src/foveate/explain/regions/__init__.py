"""Which part of an image a network should look at: from masks, boxes, or found by its words."""

from foveate.explain.regions.choose import HOW, open_regions
from foveate.explain.regions.region import (
    NoRegions,
    Region,
    RegionSource,
    image_key,
    override_path,
)
from foveate.explain.regions.truth import BoxRegions, TruthRegions

__all__ = [
    "HOW",
    "BoxRegions",
    "NoRegions",
    "Region",
    "RegionSource",
    "TruthRegions",
    "image_key",
    "open_regions",
    "override_path",
]

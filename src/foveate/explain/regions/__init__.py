"""Which part of an image a network should look at: from masks, boxes, or found by its words."""

from foveate.explain.regions.cached import Cached
from foveate.explain.regions.choose import HOW, open_regions
from foveate.explain.regions.grounded import GroundedSam
from foveate.explain.regions.overridden import Overridden
from foveate.explain.regions.region import (
    NoRegions,
    Region,
    RegionSource,
    image_key,
    override_path,
)
from foveate.explain.regions.sheet import SheetEntry, sheet_entry, write_contact_sheet
from foveate.explain.regions.truth import BoxRegions, TruthRegions

__all__ = [
    "HOW",
    "BoxRegions",
    "Cached",
    "GroundedSam",
    "NoRegions",
    "Overridden",
    "Region",
    "RegionSource",
    "SheetEntry",
    "TruthRegions",
    "image_key",
    "open_regions",
    "override_path",
    "sheet_entry",
    "write_contact_sheet",
]

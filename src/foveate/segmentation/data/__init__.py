"""Images with the class of every pixel: generated scenes, folders of masks."""

from foveate.segmentation.data.folder import MaskFiles, read_mask
from foveate.segmentation.data.masked import MaskedImages
from foveate.segmentation.data.samples import BACKGROUND, IGNORED, KeptMaps, MapDataset, MapSample
from foveate.segmentation.data.sources import open_segmentation

__all__ = [
    "BACKGROUND",
    "IGNORED",
    "KeptMaps",
    "MapDataset",
    "MapSample",
    "MaskFiles",
    "MaskedImages",
    "open_segmentation",
    "read_mask",
]

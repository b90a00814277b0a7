"""Rectified pairs with disparity: generated scenes, and folders with PFM or KITTI's PNG."""

from foveate.data.pairs import StereoDataset, StereoSample
from foveate.stereo.data.folder import StereoFolder
from foveate.stereo.data.formats import DisparityError, read_disparity, write_pfm
from foveate.stereo.data.sources import open_stereo
from foveate.stereo.data.writing import write_stereo_scenes

__all__ = [
    "DisparityError",
    "StereoDataset",
    "StereoFolder",
    "StereoSample",
    "open_stereo",
    "read_disparity",
    "write_pfm",
    "write_stereo_scenes",
]

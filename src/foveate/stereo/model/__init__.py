"""Stereo networks: any network as a backbone, all-pairs correlation, a recurrent head."""

from foveate.stereo.model.create import create_stereo
from foveate.stereo.model.network import StereoNet
from foveate.stereo.model.options import PRESETS, HeadOptions
from foveate.stereo.model.store import load_stereo, save_stereo, take_backbone_

__all__ = [
    "PRESETS",
    "HeadOptions",
    "StereoNet",
    "create_stereo",
    "load_stereo",
    "save_stereo",
    "take_backbone_",
]

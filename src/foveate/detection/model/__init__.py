"""Detectors: any network as a trunk, a pyramid of its stages, and the heads of torchvision."""

from foveate.detection.model.create import KINDS, create_detector
from foveate.detection.model.detector import Detector
from foveate.detection.model.options import PRESETS, DetectorOptions
from foveate.detection.model.store import load_detector, save_detector, take_backbone_

__all__ = [
    "KINDS",
    "PRESETS",
    "Detector",
    "DetectorOptions",
    "create_detector",
    "load_detector",
    "save_detector",
    "take_backbone_",
]

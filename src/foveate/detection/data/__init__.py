"""Images with boxes: generated scenes, COCO's format, checked whole."""

from foveate.detection.data.coco import read_coco
from foveate.detection.data.problems import Problems, problem_lines
from foveate.detection.data.samples import DetectionDataset, DetectionSample
from foveate.detection.data.sources import open_detection
from foveate.detection.data.table import BoxTable

__all__ = [
    "BoxTable",
    "DetectionDataset",
    "DetectionSample",
    "Problems",
    "open_detection",
    "problem_lines",
    "read_coco",
]

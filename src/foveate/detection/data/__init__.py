"""Images with boxes: generated scenes, COCO's format, Pascal VOC's, crops of large images.

Annotations are checked whole: what is wrong in them is counted and named, and left out.
"""

from foveate.detection.data.coco import read_coco
from foveate.detection.data.convert import convert_voc
from foveate.detection.data.crowns import tile_crowns
from foveate.detection.data.problems import Problems, problem_lines
from foveate.detection.data.samples import DetectionDataset, DetectionSample
from foveate.detection.data.sources import open_detection
from foveate.detection.data.table import BoxTable
from foveate.detection.data.tiles import tile
from foveate.detection.data.voc import open_voc
from foveate.detection.data.writing import WrittenBoxes

__all__ = [
    "BoxTable",
    "DetectionDataset",
    "DetectionSample",
    "Problems",
    "WrittenBoxes",
    "convert_voc",
    "open_detection",
    "open_voc",
    "problem_lines",
    "read_coco",
    "tile",
    "tile_crowns",
]

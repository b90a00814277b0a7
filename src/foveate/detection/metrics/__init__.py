"""How well boxes are found: COCO's average precision, its files, its curves."""

from foveate.detection.metrics.curves import draw_curves
from foveate.detection.metrics.results import read_detections, to_detections, write_detections
from foveate.detection.metrics.scores import BoxScores, ClassScore, score_boxes

__all__ = [
    "BoxScores",
    "ClassScore",
    "draw_curves",
    "read_detections",
    "score_boxes",
    "to_detections",
    "write_detections",
]

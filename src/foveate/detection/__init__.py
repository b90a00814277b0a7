"""Detectors on gated backbones: data, networks, training, average precision, predictions.

Names load when first used: reading a recipe does not import torchvision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily

if TYPE_CHECKING:
    from foveate.detection.data import DetectionDataset as DetectionDataset
    from foveate.detection.data import DetectionSample as DetectionSample
    from foveate.detection.data import open_detection as open_detection
    from foveate.detection.defaults import default_detection_recipe as default_detection_recipe
    from foveate.detection.defaults import default_detection_study as default_detection_study
    from foveate.detection.evaluation import evaluate_detector as evaluate_detector
    from foveate.detection.metrics import BoxScores as BoxScores
    from foveate.detection.metrics import draw_curves as draw_curves
    from foveate.detection.metrics import score_boxes as score_boxes
    from foveate.detection.metrics import write_detections as write_detections
    from foveate.detection.model import Detector as Detector
    from foveate.detection.model import create_detector as create_detector
    from foveate.detection.model import load_detector as load_detector
    from foveate.detection.model import save_detector as save_detector
    from foveate.detection.model import take_backbone_ as take_backbone_
    from foveate.detection.pictures import draw_predictions as draw_predictions
    from foveate.detection.prediction import predict as predict
    from foveate.detection.recipe import DetectionRecipe as DetectionRecipe
    from foveate.detection.recipe import load_detection_recipe as load_detection_recipe
    from foveate.detection.recipe import parse_detection_recipe as parse_detection_recipe
    from foveate.detection.run import DetectionRun as DetectionRun
    from foveate.detection.study import DetectionStudy as DetectionStudy
    from foveate.detection.study import DetectionStudyFolder as DetectionStudyFolder
    from foveate.detection.study import parse_detection_study as parse_detection_study
    from foveate.detection.study import run_detection_study as run_detection_study
    from foveate.detection.trainer import train_detector as train_detector

_HOMES = {
    "BoxScores": "metrics",
    "DetectionDataset": "data",
    "DetectionRecipe": "recipe",
    "DetectionRun": "run",
    "DetectionSample": "data",
    "DetectionStudy": "study",
    "DetectionStudyFolder": "study",
    "Detector": "model",
    "create_detector": "model",
    "default_detection_recipe": "defaults",
    "default_detection_study": "defaults",
    "draw_curves": "metrics",
    "draw_predictions": "pictures",
    "evaluate_detector": "evaluation",
    "load_detection_recipe": "recipe",
    "load_detector": "model",
    "open_detection": "data",
    "parse_detection_recipe": "recipe",
    "parse_detection_study": "study",
    "predict": "prediction",
    "run_detection_study": "study",
    "save_detector": "model",
    "score_boxes": "metrics",
    "take_backbone_": "model",
    "train_detector": "trainer",
    "write_detections": "metrics",
}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazily(__name__, _HOMES)

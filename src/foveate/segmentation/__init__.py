"""Semantic segmentation on gated backbones: data, networks, training, mIoU, predictions.

Names load when first used: reading a recipe does not import torchvision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily

if TYPE_CHECKING:
    from foveate.segmentation.data import MapDataset as MapDataset
    from foveate.segmentation.data import MapSample as MapSample
    from foveate.segmentation.data import open_segmentation as open_segmentation
    from foveate.segmentation.defaults import (
        default_segmentation_recipe as default_segmentation_recipe,
    )
    from foveate.segmentation.defaults import (
        default_segmentation_study as default_segmentation_study,
    )
    from foveate.segmentation.evaluation import evaluate_segmenter as evaluate_segmenter
    from foveate.segmentation.model import Segmenter as Segmenter
    from foveate.segmentation.model import create_segmenter as create_segmenter
    from foveate.segmentation.model import load_segmenter as load_segmenter
    from foveate.segmentation.model import save_segmenter as save_segmenter
    from foveate.segmentation.pictures import draw_maps as draw_maps
    from foveate.segmentation.prediction import predict_maps as predict_maps
    from foveate.segmentation.recipe import SegmentationRecipe as SegmentationRecipe
    from foveate.segmentation.recipe import load_segmentation_recipe as load_segmentation_recipe
    from foveate.segmentation.recipe import parse_segmentation_recipe as parse_segmentation_recipe
    from foveate.segmentation.run import SegmentationRun as SegmentationRun
    from foveate.segmentation.scores import ClassScores as ClassScores
    from foveate.segmentation.scores import confusion as confusion
    from foveate.segmentation.study import SegmentationStudy as SegmentationStudy
    from foveate.segmentation.study import SegmentationStudyFolder as SegmentationStudyFolder
    from foveate.segmentation.study import parse_segmentation_study as parse_segmentation_study
    from foveate.segmentation.study import run_segmentation_study as run_segmentation_study
    from foveate.segmentation.trainer import train_segmenter as train_segmenter

_HOMES = {
    "ClassScores": "scores",
    "MapDataset": "data",
    "MapSample": "data",
    "SegmentationRecipe": "recipe",
    "SegmentationRun": "run",
    "SegmentationStudy": "study",
    "SegmentationStudyFolder": "study",
    "Segmenter": "model",
    "confusion": "scores",
    "create_segmenter": "model",
    "default_segmentation_recipe": "defaults",
    "default_segmentation_study": "defaults",
    "draw_maps": "pictures",
    "evaluate_segmenter": "evaluation",
    "load_segmentation_recipe": "recipe",
    "load_segmenter": "model",
    "open_segmentation": "data",
    "parse_segmentation_recipe": "recipe",
    "parse_segmentation_study": "study",
    "predict_maps": "prediction",
    "run_segmentation_study": "study",
    "save_segmenter": "model",
    "train_segmenter": "trainer",
}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazily(__name__, _HOMES)

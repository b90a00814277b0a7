"""Semantic segmentation on gated backbones: data, networks, training, mIoU, predictions.

Names load when first used: reading a recipe does not import torchvision.
"""

from __future__ import annotations

from foveate.core.lazy import lazily

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

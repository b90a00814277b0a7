"""Stereo networks on gated backbones: data, networks, training, end-point error, predictions.

Names load when first used: reading a recipe does not import torchvision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily

if TYPE_CHECKING:
    from foveate.stereo.data import StereoDataset as StereoDataset
    from foveate.stereo.data import StereoSample as StereoSample
    from foveate.stereo.data import open_stereo as open_stereo
    from foveate.stereo.data import read_disparity as read_disparity
    from foveate.stereo.data import write_stereo_scenes as write_stereo_scenes
    from foveate.stereo.defaults import default_stereo_recipe as default_stereo_recipe
    from foveate.stereo.defaults import default_stereo_study as default_stereo_study
    from foveate.stereo.evaluation import evaluate_stereo as evaluate_stereo
    from foveate.stereo.loss import sequence_loss as sequence_loss
    from foveate.stereo.metrics import error_sums as error_sums
    from foveate.stereo.metrics import scores_of as scores_of
    from foveate.stereo.model import StereoNet as StereoNet
    from foveate.stereo.model import create_stereo as create_stereo
    from foveate.stereo.model import load_stereo as load_stereo
    from foveate.stereo.model import save_stereo as save_stereo
    from foveate.stereo.model import take_backbone_ as take_backbone_
    from foveate.stereo.pictures import draw_disparities as draw_disparities
    from foveate.stereo.prediction import predict as predict
    from foveate.stereo.recipe import StereoRecipe as StereoRecipe
    from foveate.stereo.recipe import load_stereo_recipe as load_stereo_recipe
    from foveate.stereo.recipe import parse_stereo_recipe as parse_stereo_recipe
    from foveate.stereo.run import StereoRun as StereoRun
    from foveate.stereo.study import StereoStudy as StereoStudy
    from foveate.stereo.study import StereoStudyFolder as StereoStudyFolder
    from foveate.stereo.study import parse_stereo_study as parse_stereo_study
    from foveate.stereo.study import run_stereo_study as run_stereo_study
    from foveate.stereo.trainer import train_stereo as train_stereo

_HOMES = {
    "StereoDataset": "data",
    "StereoNet": "model",
    "StereoRecipe": "recipe",
    "StereoRun": "run",
    "StereoSample": "data",
    "StereoStudy": "study",
    "StereoStudyFolder": "study",
    "create_stereo": "model",
    "default_stereo_recipe": "defaults",
    "default_stereo_study": "defaults",
    "draw_disparities": "pictures",
    "error_sums": "metrics",
    "evaluate_stereo": "evaluation",
    "load_stereo": "model",
    "load_stereo_recipe": "recipe",
    "open_stereo": "data",
    "parse_stereo_recipe": "recipe",
    "parse_stereo_study": "study",
    "predict": "prediction",
    "read_disparity": "data",
    "run_stereo_study": "study",
    "save_stereo": "model",
    "scores_of": "metrics",
    "sequence_loss": "loss",
    "take_backbone_": "model",
    "train_stereo": "trainer",
    "write_stereo_scenes": "data",
}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazily(__name__, _HOMES)

"""Training by recipe, run folders, and studies that compare attentions.

Names load when first used: reading a run folder does not import Lightning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily

if TYPE_CHECKING:
    from foveate.training.comparison import run_study as run_study
    from foveate.training.defaults import default_recipe as default_recipe
    from foveate.training.defaults import default_study as default_study
    from foveate.training.evaluation import evaluate as evaluate
    from foveate.training.fitting import Interrupted as Interrupted
    from foveate.training.progress import Reporter as Reporter
    from foveate.training.recipe import DataSection as DataSection
    from foveate.training.recipe import ModelSection as ModelSection
    from foveate.training.recipe import Recipe as Recipe
    from foveate.training.recipe import TrainSection as TrainSection
    from foveate.training.recipe import load_recipe as load_recipe
    from foveate.training.recipe import parse_recipe as parse_recipe
    from foveate.training.run_folder import RunFolder as RunFolder
    from foveate.training.study import Study as Study
    from foveate.training.study import StudyFolder as StudyFolder
    from foveate.training.study import parse_study as parse_study
    from foveate.training.trainer import train as train

_HOMES = {
    "DataSection": "recipe",
    "Interrupted": "fitting",
    "ModelSection": "recipe",
    "Recipe": "recipe",
    "Reporter": "progress",
    "RunFolder": "run_folder",
    "Study": "study",
    "StudyFolder": "study",
    "TrainSection": "recipe",
    "default_recipe": "defaults",
    "default_study": "defaults",
    "evaluate": "evaluation",
    "load_recipe": "recipe",
    "parse_recipe": "recipe",
    "parse_study": "study",
    "run_study": "comparison",
    "train": "trainer",
}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazily(__name__, _HOMES)

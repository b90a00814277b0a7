"""The run folder of a detector."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from foveate.core import expected
from foveate.detection.model import Detector, load_detector
from foveate.detection.recipe import DetectionRecipe
from foveate.training.recipe import Recipe
from foveate.training.run_folder import RunFolder


class DetectionRun(RunFolder):
    """A training run of a detector on disk.

    Files as of :class:`foveate.training.RunFolder`. ``metrics.csv`` has the parts of the loss and
    ``val_ap``, ``val_ap50``, ``val_ap75`` (fractions); ``detections.json`` what the trained
    detector finds in the validation images, in COCO's format of results.
    """

    kind: ClassVar[type[Recipe]] = DetectionRecipe

    @property
    def detections_path(self) -> Path:
        """Where stands what was found in the validation images."""
        return self.path / "detections.json"

    @property
    def recipe(self) -> DetectionRecipe:
        """The recipe of the run.

        Raises:
            FileNotFoundError: If this is no run folder.
        """
        recipe = super().recipe
        if not isinstance(recipe, DetectionRecipe):
            raise TypeError(expected("DetectionRun", "the recipe of a detector", recipe.TASK))
        return recipe

    def load_model(self) -> Detector:
        """Return the trained detector in eval mode, on the CPU.

        Raises:
            FileNotFoundError: If the run is not finished.
        """
        if not self.is_finished:
            remedy = "finish it first: foveate detect train --resume"
            raise FileNotFoundError(
                expected("DetectionRun.load_model", "a finished run", str(self.path), remedy)
            )
        return load_detector(self.path).eval()

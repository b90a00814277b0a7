"""The run folder of a detector."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

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
    command: ClassVar[str] = "foveate detect train"

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
        return self.recipe_as(DetectionRecipe)

    def load_model(self) -> Detector:
        """Return the trained detector in eval mode, on the CPU.

        Raises:
            FileNotFoundError: If the run is not finished.
        """
        return self.loaded_by(load_detector)

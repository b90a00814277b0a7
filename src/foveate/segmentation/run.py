"""The run folder of a segmenter."""

from __future__ import annotations

from typing import ClassVar

from foveate.segmentation.model import Segmenter, load_segmenter
from foveate.segmentation.recipe import SegmentationRecipe
from foveate.training.recipe import Recipe
from foveate.training.run_folder import RunFolder


class SegmentationRun(RunFolder):
    """A training run of a segmenter on disk.

    Files as of :class:`foveate.training.RunFolder`. ``metrics.csv`` has ``val_miou``,
    ``val_pixel_accuracy`` (fractions) and ``val_loss``; ``result.json`` the confusion matrix and
    the intersection over union of each class.
    """

    kind: ClassVar[type[Recipe]] = SegmentationRecipe
    command: ClassVar[str] = "foveate segment train"

    @property
    def recipe(self) -> SegmentationRecipe:
        """The recipe of the run.

        Raises:
            FileNotFoundError: If this is no run folder.
        """
        return self.recipe_as(SegmentationRecipe)

    def load_model(self) -> Segmenter:
        """Return the trained segmenter in eval mode, on the CPU.

        Raises:
            FileNotFoundError: If the run is not finished.
        """
        return self.loaded_by(load_segmenter)

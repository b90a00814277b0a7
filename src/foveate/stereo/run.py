"""The run folder of a stereo network."""

from __future__ import annotations

from typing import ClassVar

from foveate.stereo.model import StereoNet, load_stereo
from foveate.stereo.recipe import StereoRecipe
from foveate.training.recipe import Recipe
from foveate.training.run_folder import RunFolder


class StereoRun(RunFolder):
    """A training run of a stereo network on disk.

    Files as of :class:`foveate.training.RunFolder`. ``metrics.csv`` has ``val_epe`` and
    ``val_epe_seen`` in pixels, and ``val_bad1``, ``val_bad3`` and ``val_d1`` as fractions.
    """

    kind: ClassVar[type[Recipe]] = StereoRecipe
    command: ClassVar[str] = "foveate stereo train"

    @property
    def recipe(self) -> StereoRecipe:
        """The recipe of the run.

        Raises:
            FileNotFoundError: If this is no run folder.
        """
        return self.recipe_as(StereoRecipe)

    def load_model(self) -> StereoNet:
        """Return the trained network in eval mode, on the CPU.

        Raises:
            FileNotFoundError: If the run is not finished.
        """
        return self.loaded_by(load_stereo)

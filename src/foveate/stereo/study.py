"""Compare attentions in stereo networks: the same pairs, recipe and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from foveate.stereo.batches import open_pairs
from foveate.stereo.costs import measure_stereo
from foveate.stereo.recipe import TASK, StereoRecipe
from foveate.stereo.run import StereoRun
from foveate.stereo.trainer import train_stereo
from foveate.training.comparison import Work, run_in
from foveate.training.progress import Reporter
from foveate.training.run_folder import RunFolder
from foveate.training.study import Study, StudyFolder, parse_study


class StereoStudy(Study):
    """Which stereo networks are compared, over which seeds, by which recipe.

    As :class:`foveate.training.Study`, without the wider control: much of the width of a stereo
    network lies in its head.

    Example:
        >>> StereoStudy(attentions=["none", "cca"], seeds=2).labels
        ['none', 'cca']
    """

    TASK: ClassVar[str] = TASK
    NO_CONTROL: ClassVar[str] = "a study of stereo networks has no wider control"

    task: Literal["stereo"] = "stereo"
    control: bool = False
    recipe: StereoRecipe = StereoRecipe()


def parse_stereo_study(tree: dict[str, Any], who: str = "study") -> StereoStudy:
    """Validate a nested dictionary as a study of stereo networks."""
    return parse_study({"task": TASK, **tree}, who, StereoStudy)


class StereoStudyFolder(StudyFolder):
    """A study of stereo networks on disk, see :class:`foveate.training.StudyFolder`."""

    kind: ClassVar[type[Study]] = StereoStudy
    runs_kind: ClassVar[type[RunFolder]] = StereoRun


def run_stereo_study(
    study: StereoStudy,
    folder: str | Path,
    *,
    resume: bool = True,
    remeasure: bool = False,
    progress: bool | Reporter = True,
) -> StereoStudyFolder:
    """Train every stereo network of a study and measure what each costs.

    Args, returns and errors are those of :func:`foveate.training.run_study`.

    Example:
        >>> study = StereoStudy(attentions=["none", "se"], seeds=1)
        >>> run_stereo_study(study, "out")  # doctest: +SKIP
        StereoStudyFolder('out')
    """
    work = Work(open_pairs, measure_stereo, train_stereo)
    return run_in(StereoStudyFolder(folder), study, work, resume, remeasure, progress)

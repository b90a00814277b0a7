"""Compare attentions in detectors: the same images, recipe and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from foveate.detection.batches import open_boxes
from foveate.detection.costs import measure_detectors
from foveate.detection.recipe import TASK, DetectionRecipe
from foveate.detection.run import DetectionRun
from foveate.detection.trainer import train_detector
from foveate.training.comparison import Work, run_in
from foveate.training.progress import Reporter
from foveate.training.run_folder import RunFolder
from foveate.training.study import Study, StudyFolder, parse_study


class DetectionStudy(Study):
    """Which detectors are compared, over which seeds, by which recipe.

    As :class:`foveate.training.Study`, without the wider control: the width of a detector lies in
    its heads as much as in its backbone.

    Example:
        >>> DetectionStudy(attentions=["none", "se"], seeds=2).labels
        ['none', 'se']
    """

    TASK: ClassVar[str] = TASK
    NO_CONTROL: ClassVar[str] = "a study of detectors has no wider control"

    task: Literal["detection"] = "detection"
    control: bool = False
    recipe: DetectionRecipe = DetectionRecipe()


def parse_detection_study(tree: dict[str, Any], who: str = "study") -> DetectionStudy:
    """Validate a nested dictionary as a study of detectors."""
    return parse_study({"task": TASK, **tree}, who, DetectionStudy)


class DetectionStudyFolder(StudyFolder):
    """A study of detectors on disk, see :class:`foveate.training.StudyFolder`."""

    kind: ClassVar[type[Study]] = DetectionStudy
    runs_kind: ClassVar[type[RunFolder]] = DetectionRun


def run_detection_study(
    study: DetectionStudy,
    folder: str | Path,
    *,
    resume: bool = True,
    remeasure: bool = False,
    progress: bool | Reporter = True,
) -> DetectionStudyFolder:
    """Train every detector of a study and measure what each costs.

    Args, returns and errors are those of :func:`foveate.training.run_study`.

    Example:
        >>> study = DetectionStudy(attentions=["none", "se"], seeds=1)
        >>> run_detection_study(study, "out")  # doctest: +SKIP
        DetectionStudyFolder('out')
    """
    work = Work(open_boxes, measure_detectors, train_detector)
    return run_in(DetectionStudyFolder(folder), study, work, resume, remeasure, progress)

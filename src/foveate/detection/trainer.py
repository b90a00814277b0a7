"""Train a detector by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from foveate.detection.batches import BoxData
from foveate.detection.data import DetectionDataset
from foveate.detection.evaluation import as_result, find_boxes
from foveate.detection.metrics import write_detections
from foveate.detection.model import save_detector
from foveate.detection.module import DetectorTrainee
from foveate.detection.recipe import DetectionRecipe
from foveate.detection.run import DetectionRun
from foveate.detection.starting import build_detector, warm_phases
from foveate.training.fitting import Task, train_in
from foveate.training.progress import Reporter
from foveate.training.run_folder import RunFolder
from foveate.training.starting import Start


def train_detector(
    recipe: DetectionRecipe,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool | Reporter = True,
    data: tuple[DetectionDataset, DetectionDataset] | None = None,
) -> DetectionRun:
    """Train a detector as the recipe says.

    As with :func:`foveate.training.train`, a run that was stopped and resumed, wherever in an
    epoch, gives the weights of one that was not.

    Args:
        recipe: What to do; see ``load_detection_recipe``.
        folder: The run folder to make.
        resume: Continue the unfinished run of the same recipe that the folder holds.
        progress: Show a progress bar; or the reporter to tell.
        data: Data sets (train, val) that are open already, so that several runs share them.

    Returns:
        The finished run.

    Raises:
        ValueError: If the folder holds another recipe, or a run although ``resume`` is off; if the
            data have no readable image; for an unknown model, attention or option.
        FileNotFoundError: If the data are not there.
        OSError: If a file cannot be written; checkpoints written before are untouched.
        Interrupted: On Ctrl-C or SIGTERM; the last checkpoint is kept.

    Example:
        >>> train_detector(load_detection_recipe("one.toml"), "runs/one")  # doctest: +SKIP
        DetectionRun('runs/one')
    """

    def prepare() -> Task:
        images = BoxData(recipe, data)
        detector = build_detector(recipe.model, recipe.data, len(images.classes))
        phases = warm_phases(detector, recipe)
        return Task(
            images,
            Start(detector),
            lambda network: DetectorTrainee(network, recipe, images.val_set),
            callbacks=lambda _: [phases] if phases else [],
            save=save_detector,
            details=lambda network, run: _details(network, run, recipe, images),
        )

    run = DetectionRun(folder)
    train_in(run, recipe, prepare, resume=resume, progress=progress)
    return run


def _details(
    network: nn.Module, run: RunFolder, recipe: DetectionRecipe, images: BoxData
) -> dict[str, Any]:
    """Evaluate the weights that are kept, which need not be those of the last epoch."""
    found = find_boxes(network, images.val_set, recipe.train.batch_size)
    write_detections(run.path / "detections.json", found.detections)
    problems = {"train": images.train_set.problems, "val": images.val_set.problems}
    return {
        "task": recipe.task,
        **as_result(found, images.val_set),
        "problems": {split: one.as_dict() for split, one in problems.items()},
    }

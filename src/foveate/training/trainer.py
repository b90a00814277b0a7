"""Train a classifier by a recipe."""

from __future__ import annotations

from pathlib import Path

from foveate.data import ImageDataset
from foveate.training.classifier import Classifier
from foveate.training.fitting import Task, train_in
from foveate.training.loading import ImageData
from foveate.training.progress import Reporter
from foveate.training.recipe import Recipe
from foveate.training.run_folder import RunFolder
from foveate.training.starting import start


def train(
    recipe: Recipe,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool | Reporter = True,
    data: tuple[ImageDataset, ImageDataset] | None = None,
) -> RunFolder:
    """Train a network as the recipe says.

    On one machine with the same number of threads, the same recipe gives the same weights, and a
    run that was stopped and resumed, wherever in an epoch, gives the weights of one that was not.
    What was done after the last checkpoint is done again.

    Args:
        recipe: What to do; see ``load_recipe``.
        folder: The run folder to make.
        resume: Continue the unfinished run of the same recipe that the folder holds, from its last
            checkpoint, or the one before it if that is damaged; a finished one is returned as it
            is.
        progress: Show a progress bar; or the reporter to tell.
        data: Datasets (train, val) that are open already, so that several runs share them.

    Returns:
        The finished run.

    Raises:
        ValueError: If the folder holds another recipe, or a run although ``resume`` is off; if the
            data have no readable image; for an unknown model, attention or option; if every
            checkpoint is damaged.
        FileNotFoundError: If the data are not there.
        OSError: If a file cannot be written; checkpoints written before are untouched.
        ChildProcessError: If a worker process that loads images dies; the image it was reading is
            named.
        Interrupted: On Ctrl-C or SIGTERM; the last checkpoint is kept.

    Example:
        >>> train(load_recipe("recipes/scenes-resnet18-das.toml"), "runs/one")  # doctest: +SKIP
        RunFolder('runs/one')
    """

    def prepare() -> Task:
        images = ImageData(recipe, data)
        classes = len(images.classes)
        begun = start(recipe.model, classes, recipe.data.size)
        return Task(images, begun, lambda network: Classifier(network, recipe, classes))

    return train_in(RunFolder(folder), recipe, prepare, resume=resume, progress=progress)

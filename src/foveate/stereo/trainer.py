"""Train a stereo network by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from foveate.data.pairs import StereoDataset
from foveate.stereo.batches import PairData
from foveate.stereo.evaluation import measure_pairs
from foveate.stereo.model import save_stereo
from foveate.stereo.module import StereoTrainee
from foveate.stereo.recipe import StereoRecipe
from foveate.stereo.run import StereoRun
from foveate.stereo.starting import build_stereo
from foveate.training.fitting import Task, train_in
from foveate.training.progress import Reporter
from foveate.training.starting import Start


def train_stereo(
    recipe: StereoRecipe,
    folder: str | Path,
    *,
    resume: bool = False,
    progress: bool | Reporter = True,
    data: tuple[StereoDataset, StereoDataset] | None = None,
) -> StereoRun:
    """Train a stereo network as the recipe says.

    As with :func:`foveate.training.train`, whose arguments and errors these are, a run that was
    stopped and resumed, wherever in an epoch, gives the weights of one that was not.

    Args:
        recipe: What to do; see ``load_stereo_recipe``.
        folder: The run folder to make.
        resume: Continue the unfinished run of the same recipe that the folder holds.
        progress: Show a progress bar; or the reporter to tell.
        data: Pairs (train, val) that are open already, so that several runs share them.

    Example:
        >>> train_stereo(load_stereo_recipe("one.toml"), "runs/one")  # doctest: +SKIP
        StereoRun('runs/one')
    """
    run = StereoRun(folder)

    def prepare() -> Task:
        pairs = PairData(recipe, data)

        def details(network: nn.Module, _: Any) -> dict[str, Any]:
            # Of the weights that are kept, which need not be those of the last epoch.
            found = measure_pairs(network, pairs.val_set, recipe.train.batch_size)
            kept = ("images", "unreadable")
            return {"task": recipe.task, **{k: v for k, v in found.items() if k not in kept}}

        return Task(
            pairs,
            Start(build_stereo(recipe.model, recipe.data)),
            lambda network: StereoTrainee(network, recipe),
            save=save_stereo,
            details=details,
        )

    train_in(run, recipe, prepare, resume=resume, progress=progress)
    return run

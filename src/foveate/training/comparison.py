"""Run a study: every attention with every seed, redoing only what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from foveate.core import Words, expected
from foveate.core.files import write_json
from foveate.training.costs import control_width, measure
from foveate.training.fitting import Interrupted
from foveate.training.loading import open_data
from foveate.training.progress import Reporter
from foveate.training.run_folder import RunFolder
from foveate.training.study import CONTROL, Study, StudyFolder
from foveate.training.trainer import train

FolderOf = TypeVar("FolderOf", bound=StudyFolder)


def run_study(
    study: Study,
    folder: str | Path,
    *,
    resume: bool = True,
    remeasure: bool = False,
    progress: bool | Reporter = True,
) -> StudyFolder:
    """Train every network of a study and measure what each costs.

    The runs follow one another in this process, seed by seed, so that a study cut short holds
    comparable runs of all attentions. Finished runs are left alone, unfinished ones continued.

    Args:
        study: What to compare.
        folder: The study folder to make or to continue.
        resume: Continue the same study if the folder holds it; otherwise that is an error.
        remeasure: Measure the costs again though the folder holds them: for another machine or
            version. Finished runs stay as they are.
        progress: Show one progress bar for all runs; or the reporter to tell.

    Returns:
        The finished study.

    Raises:
        ValueError: If the folder holds another study (what differs is listed), or for an unknown
            model, attention or option.
        Interrupted: On Ctrl-C or SIGTERM; finished runs are kept.

    Example:
        >>> run_study(Study(attentions=["none", "se"], seeds=1), "out")  # doctest: +SKIP
        StudyFolder('out')
    """
    work = Work(open_data, measure, train)
    return run_in(StudyFolder(folder), study, work, resume, remeasure, progress)


@dataclass(frozen=True)
class Work:
    """What a task does for a study.

    Attributes:
        open_data: Opens the images, train and val, of the data section of a recipe.
        measure: As ``costs.measure``: counts and times the networks.
        train: As ``train``: trains one of them.
    """

    open_data: Callable[[Any], tuple[Any, Any]]
    measure: Callable[..., dict[str, dict[str, Any]]]
    train: Callable[..., RunFolder]


def run_in(
    target: FolderOf,
    study: Study,
    work: Work,
    resume: bool = True,
    remeasure: bool = False,
    progress: bool | Reporter = True,
) -> FolderOf:
    """Run a study of any task in its folder; the arguments are those of ``run_study``."""
    target.check(study, resume=resume)
    if target.is_finished and not remeasure:
        return target
    try:
        return _run(study, target, work, remeasure, progress)
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(study, target)) from None


def _run(
    study: Study, target: FolderOf, work: Work, remeasure: bool, progress: bool | Reporter
) -> FolderOf:
    data = work.open_data(study.recipe.data)
    classes = len(data[0].classes)
    width, reason = control_width(study, classes) if study.control else (None, "")
    labels = [label for label in study.labels if label != CONTROL or width is not None]
    recipes = {
        (label, seed): study.recipe_for(label, seed, width)
        for seed in study.seeds
        for label in labels
    }
    epochs = study.recipe.train.epochs

    def run_all(reporter: Reporter) -> None:
        # Costs come first: what cannot be counted or timed shows before hours of training.
        if remeasure or not target.costs:
            reporter.note("measuring parameters, operations and latency")
            costs = work.measure(study, classes, width, reason)
            # Only now: a study that cannot run leaves no folder that would refuse its correction.
            target.start(study)
            write_json(target.costs_path, costs)
        for number, ((label, seed), recipe) in enumerate(recipes.items(), 1):
            run = target.run(label, seed)
            reporter.begin(f"{label} seed {seed}", number, epochs)
            if run.is_finished:
                # Checked all the same: a folder changed by hand must not pass for this study.
                run.check(recipe, resume=True)
                reporter.end("finished before")
                continue
            work.train(recipe, run.path, resume=True, progress=reporter, data=data)
            reporter.end()

    _with_reporter(run_all, progress, epochs * len(recipes), len(recipes))
    return target


def _with_reporter(
    work: Callable[[Reporter], None], progress: bool | Reporter, epochs: int, runs: int
) -> None:
    """Do the work with the caller's reporter, or with one of our own."""
    if isinstance(progress, Reporter):
        work(progress)
        return
    with Reporter(epochs, runs, enabled=progress) as reporter:
        work(reporter)


def _how_to_go_on(study: Study, target: StudyFolder) -> str:
    """Say what an interrupted study has kept and how to continue it."""
    pairs = [(label, seed) for label in study.labels for seed in study.seeds]
    done = sum(target.run(label, seed).is_finished for label, seed in pairs)
    return expected(
        f"the study in {target.path}",
        f"{len(pairs)} finished runs",
        Words(f"an interruption ({done} are finished and kept)"),
        "give the same command again to do what is missing",
    )

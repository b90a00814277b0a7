"""``foveate stereo train``: train one stereo network by a recipe."""

from __future__ import annotations

from typing import Annotated

import typer

from foveate.cli import _asked as asked


def train(
    recipe: asked.RecipeArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="scenes (generated), or a folder with train and val (or without) that hold"
            " left/, right/ and disparity/ (PFM, or 16-bit PNG as of KITTI)."
        ),
    ] = None,
    out: asked.RunFolderOut = None,
    resume: asked.Resume = False,
    seed: asked.Seed = None,
    change: asked.Change = None,
    quiet: asked.Quiet = False,
) -> None:
    """Train a stereo network by a recipe and leave a run folder.

    Ctrl-C, a kill or a crash keeps the last checkpoint; the same command with --resume goes on
    from there.

    Example:
        foveate stereo train recipes/stereo/scenes-resnet18.toml --set model.attention=das
        foveate stereo train recipes/stereo/pairs-resnet18.toml --data data/pairs --out runs/mine
    """
    from foveate.cli._matching import summary
    from foveate.cli._recipes import chosen_recipe, options_for
    from foveate.stereo import StereoRecipe, train_stereo
    from foveate.training.ranks import is_main_process

    place = None if data is None else lambda _: str(data)
    plan, folder = chosen_recipe(
        recipe, StereoRecipe, out, seed, change or [], place, options_for(data)
    )
    run = train_stereo(plan, folder, resume=resume, progress=not quiet)
    if run.result is not None and is_main_process():
        typer.echo(summary(run.result))
        typer.echo(f"run folder: {run.path}")

"""``foveate segment train``: a recipe in, a run folder out."""

from __future__ import annotations

from typing import Annotated

import typer

from foveate.cli import _asked as asked


def train(
    recipe: asked.RecipeArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="The images: scenes (generated), a folder of images and masks, or a folder that"
            " foveate scenes wrote."
        ),
    ] = None,
    out: asked.RunFolderOut = None,
    resume: asked.Resume = False,
    seed: asked.Seed = None,
    change: asked.Change = None,
    quiet: asked.Quiet = False,
) -> None:
    """Train a segmenter by a recipe and leave a run folder.

    Ctrl-C, a kill or a crash keeps the last checkpoint; the same command with --resume goes on
    from there. On several GPUs start it by torchrun, as docs/scaling.md says.

    Example:
        foveate segment train recipes/segmentation/scenes-resnet18.toml --out runs/fpn
        foveate segment train recipes/segmentation/voc-resnet50-das.toml --data data/voc
    """
    from foveate.cli._recipes import chosen_recipe, options_for
    from foveate.cli._segmenting import summary
    from foveate.segmentation import SegmentationRecipe, train_segmenter
    from foveate.training.ranks import is_main_process

    place = None if data is None else lambda _: str(data)
    options = options_for(data)
    plan, folder = chosen_recipe(
        recipe, SegmentationRecipe, out, seed, change or [], place, options
    )
    run = train_segmenter(plan, folder, resume=resume, progress=not quiet)
    if run.result is not None and is_main_process():
        typer.echo(summary(run.result))
        typer.echo(f"run folder: {run.path}")

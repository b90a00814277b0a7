"""``foveate detect train``: a recipe in, a run folder out."""

from __future__ import annotations

from typing import Annotated

import typer

from foveate.cli import _asked as asked


def train(
    recipe: asked.RecipeArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="The images: scenes (generated), a folder in COCO's layout,"
            " coco:ANNOTATIONS.json[:IMAGES] with {split} for train and val, or voc:FOLDER."
        ),
    ] = None,
    out: asked.RunFolderOut = None,
    resume: asked.Resume = False,
    seed: asked.Seed = None,
    change: asked.Change = None,
    quiet: asked.Quiet = False,
) -> None:
    r"""Train a detector by a recipe and leave a run folder.

    What is wrong in the annotations is counted, told and left out; --set data.strict=true refuses
    it instead. Ctrl-C, a kill or a crash keeps the last checkpoint; the same command with --resume
    goes on from there. On several GPUs start it by torchrun, as docs/scaling.md says.

    Example:
        foveate detect train recipes/detection/scenes-resnet18.toml --set model.attention=das \
          --out runs/das
        foveate detect train recipes/detection/coco-resnet50-das.toml --data /data/coco \
          --set model.weights=runs/imagenet-das
    """
    from foveate.cli._detecting import summary, tell_problems
    from foveate.cli._recipes import chosen_recipe
    from foveate.detection import DetectionRecipe, train_detector
    from foveate.training.ranks import is_main_process

    place = None if data is None else lambda _: str(data)
    plan, folder = chosen_recipe(recipe, DetectionRecipe, out, seed, change or [], place)
    run = train_detector(plan, folder, resume=resume, progress=not quiet)
    if run.result is not None and is_main_process():
        tell_problems(run.result["problems"])
        typer.echo(summary(run.result))
        typer.echo(f"run folder: {run.path}")

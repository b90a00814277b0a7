"""``foveate stereo compare``: train stereo networks side by side and say what differs."""

from __future__ import annotations

from typing import Annotated

import typer

from foveate.cli import _asked as asked


def compare(
    data: Annotated[
        str | None,
        typer.Argument(help="As `foveate stereo train --data`; by default the recipe's."),
    ] = None,
    recipe: asked.RecipeBase = None,
    model: asked.Backbone = None,
    attentions: asked.Attentions = "none,das,cca,dra",
    seeds: asked.Seeds = "3",
    epochs: asked.Epochs = None,
    size: Annotated[int | None, typer.Option(min=24, help="Rows in pixels.")] = None,
    width: Annotated[int | None, typer.Option(min=24, help="Columns in pixels.")] = None,
    batch_size: asked.BatchSize = None,
    lr: asked.Rate = None,
    limit_train: asked.LimitTrain = None,
    limit_val: asked.LimitVal = None,
    where: asked.Where = None,
    start: asked.StartHow = None,
    pretrained: asked.Pretrained = None,
    option: asked.OptionOf = None,
    variant: asked.VariantOf = None,
    change: asked.Change = None,
    out: asked.StudyOut = None,
    resume: asked.GoOn = True,
    remeasure: asked.Remeasure = False,
    images: asked.Pictures = 6,
    quiet: asked.Quiet = False,
) -> None:
    """Train stereo networks with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate stereo compare scenes --attentions none,das,cca,dra --seeds 3
        foveate stereo compare data/pairs --recipe recipes/stereo/pairs-resnet18.toml
    """
    given = locals().copy()
    from foveate.cli._comparing import Comparing, run_comparison
    from foveate.stereo import (
        StereoRecipe,
        default_stereo_recipe,
        default_stereo_study,
        draw_disparities,
        run_stereo_study,
    )

    task = Comparing(
        "stereo",
        StereoRecipe,
        default_stereo_recipe,
        default_stereo_study,
        run_stereo_study,
        draw_disparities,
    )
    run_comparison(task, given, **{"data.width": width})

"""``foveate detect compare``: train detectors side by side and say what differs."""

from __future__ import annotations

from typing import Annotated

import typer

from foveate.cli import _asked as asked


def compare(
    data: Annotated[
        str | None,
        typer.Argument(help="As `foveate detect train --data`; by default the recipe's."),
    ] = None,
    recipe: asked.RecipeBase = None,
    model: asked.Backbone = None,
    detector: Annotated[str | None, typer.Option(help="faster-rcnn, retinanet or fcos.")] = None,
    attentions: asked.Attentions = "none,das,se",
    seeds: asked.Seeds = "3",
    epochs: asked.Epochs = None,
    size: Annotated[int | None, typer.Option(min=32, help="Shorter side in pixels.")] = None,
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
    """Train detectors with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate detect compare scenes --attentions none,das,se --seeds 3
        foveate detect compare data/crowns --recipe recipes/detection/crowns-resnet18.toml
    """
    given = locals().copy()
    from foveate.cli._comparing import Comparing, run_comparison
    from foveate.detection import (
        DetectionRecipe,
        default_detection_recipe,
        default_detection_study,
        draw_predictions,
        run_detection_study,
    )

    task = Comparing(
        "detect",
        DetectionRecipe,
        default_detection_recipe,
        default_detection_study,
        run_detection_study,
        draw_predictions,
    )
    run_comparison(task, given, **{"model.detector": detector})

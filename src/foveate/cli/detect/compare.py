"""``foveate detect compare``: train detectors side by side and say what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    data: Annotated[
        str | None,
        typer.Argument(help="As `foveate detect train --data`; by default the recipe's."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="The recipe (TOML) of a detector as the base.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Backbone: a timm name or torchvision/NAME.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="faster-rcnn, retinanet or fcos.")] = None,
    attentions: Annotated[
        str, typer.Option(help="Names with commas between; none is the plain backbone.")
    ] = "none,das,se",
    seeds: Annotated[str, typer.Option(help="How many, or a list such as 3,5,8.")] = "3",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Shorter side in pixels.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    limit_train: Annotated[int | None, typer.Option(min=2, help="Training images at most.")] = None,
    limit_val: Annotated[int | None, typer.Option(min=1, help="Validation images at most.")] = None,
    where: Annotated[
        str | None, typer.Option(help="A site such as stages, or module patterns with commas.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="paper or identity.")] = None,
    pretrained: Annotated[
        bool | None, typer.Option("--pretrained", help="Backbones start from published weights.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME.KEY=VALUE", help="An attention's option: das.alpha=0.1."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=NAME:KEY=VALUE,...", help="One more row. Repeatable."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a key of the recipe; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study folder; by default runs/detect-DATA-MODEL.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue the same study in the folder.")
    ] = True,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure the costs again; finished runs stay.")
    ] = False,
    images: Annotated[int, typer.Option(min=0, help="How many images to draw boxes in.")] = 6,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train detectors with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate detect compare scenes --attentions none,das,se --seeds 3
        foveate detect compare data/crowns --recipe recipes/detection/crowns-resnet18.toml
    """
    from foveate.cli._recipes import pairs_of
    from foveate.cli._words import options_of, seeds_of, slug, variants_of, where_of, words
    from foveate.cli.report import show
    from foveate.detection import (
        DetectionRecipe,
        default_detection_recipe,
        default_detection_study,
        draw_predictions,
        run_detection_study,
    )
    from foveate.report import write_report
    from foveate.training.recipe import load_recipe

    base = (
        load_recipe(recipe, DetectionRecipe)
        if recipe
        else default_detection_recipe(data or "scenes")
    )
    given = {
        "data.source": data,
        "data.size": size,
        "data.limit_train": limit_train,
        "data.limit_val": limit_val,
        "model.name": model,
        "model.detector": detector,
        "model.where": where_of(where),
        "model.start": start,
        "model.pretrained": pretrained,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "train.lr": lr,
        **pairs_of(change or []),
    }
    base = base.changed(**{key: value for key, value in given.items() if value is not None})
    study = default_detection_study(
        base,
        attentions=words(attentions),
        seeds=seeds_of(seeds),
        options=options_of(option or []),
        variants=variants_of(variant or []),
    )
    folder = out or Path("runs") / f"detect-{slug(base.data.source)}-{slug(base.model.name)}"
    finished = run_detection_study(
        study, folder, resume=resume, remeasure=remeasure, progress=not quiet
    )
    if images:
        draw_predictions(finished, images)
    show(write_report(folder))

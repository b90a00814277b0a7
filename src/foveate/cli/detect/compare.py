"""``foveate detect compare``: train detectors side by side and say what differs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foveate.cli import _asked as asked


@asked.compares
def compare(
    data: Annotated[
        str | None,
        typer.Argument(help="As `foveate detect train --data`; by default the recipe's."),
    ] = None,
    detector: Annotated[str | None, typer.Option(help="faster-rcnn, retinanet or fcos.")] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Shorter side in pixels.")] = None,
    attentions: asked.Attentions = "none,das,se",
    **given: Any,
) -> None:
    """Train detectors with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate detect compare scenes --attentions none,das,se --seeds 3
        foveate detect compare data/crowns --recipe recipes/detection/crowns-resnet18.toml
    """
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
    given |= {"data": data, "size": size, "attentions": attentions}
    run_comparison(task, given, **{"model.detector": detector})

"""``foveate segment compare``: train segmenters side by side and say what differs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foveate.cli import _asked as asked


@asked.compares
def compare(
    data: Annotated[
        str | None,
        typer.Argument(help="As `foveate segment train --data`; by default the recipe's."),
    ] = None,
    head: Annotated[str | None, typer.Option(help="deeplabv3 or fpn.")] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Side in training, in pixels.")] = None,
    **given: Any,
) -> None:
    """Train segmenters with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate segment compare scenes --attentions none,das,cca,dra --seeds 3
    """
    from foveate import segmentation as of
    from foveate.cli._comparing import Comparing, run_comparison
    from foveate.cli._recipes import options_for

    task = Comparing(
        name="segment",
        kind=of.SegmentationRecipe,
        recipe=of.default_segmentation_recipe,
        study=of.default_segmentation_study,
        run=of.run_segmentation_study,
        draw=of.draw_maps,
    )
    given |= {"data": data, "size": size}
    run_comparison(task, given, **{"model.head": head, "data.options": options_for(data)})

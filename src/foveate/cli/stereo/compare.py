"""``foveate stereo compare``: train stereo networks side by side and say what differs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foveate.cli import _asked as asked


@asked.compares
def compare(
    data: Annotated[
        str | None,
        typer.Argument(help="As `foveate stereo train --data`; by default the recipe's."),
    ] = None,
    size: Annotated[int | None, typer.Option(min=24, help="Rows in pixels.")] = None,
    width: Annotated[int | None, typer.Option(min=24, help="Columns in pixels.")] = None,
    **given: Any,
) -> None:
    """Train stereo networks with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate stereo compare scenes --attentions none,das,cca,dra --seeds 3
        foveate stereo compare data/pairs --recipe recipes/stereo/pairs-resnet18.toml
    """
    from foveate import stereo as of
    from foveate.cli._comparing import Comparing, run_comparison
    from foveate.cli._recipes import options_for

    task = Comparing(
        name="stereo",
        kind=of.StereoRecipe,
        recipe=of.default_stereo_recipe,
        study=of.default_stereo_study,
        run=of.run_stereo_study,
        draw=of.draw_disparities,
    )
    given |= {"data": data, "size": size}
    run_comparison(task, given, **{"data.width": width, "data.options": options_for(data)})

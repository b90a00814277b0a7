"""``foveate stereo scenes``: make a data set of generated pairs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def scenes(
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    count: Annotated[int, typer.Option(min=1, help="Pairs to train on.")] = 400,
    val: Annotated[int, typer.Option(min=1, help="Pairs to validate on.")] = 100,
    size: Annotated[int, typer.Option(min=24, help="Rows in pixels.")] = 64,
    width: Annotated[
        int | None, typer.Option(min=24, help="Columns; by default one and a half times the rows.")
    ] = None,
    max_disparity: Annotated[float, typer.Option(help="What is nearest has less, in pixels.")] = 16,
    pieces: Annotated[int, typer.Option(min=0, help="Shapes in a scene.")] = 8,
    slant: Annotated[float, typer.Option(help="0: all faces the cameras; 1: much slanted.")] = 0.5,
    texture: Annotated[float, typer.Option(help="Contrast of what covers everything.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed makes other pairs.")] = 0,
    quiet: asked.Quiet = False,
) -> None:
    """Make rectified pairs with exact disparity and a mask of what the right view does not show.

    The folder gets train and val, each with left/*.png, right/*.png, disparity/*.pfm (pixels) and
    occluded/*.png, as `foveate stereo train --data` reads them.

    Example:
        foveate stereo scenes data/pairs --count 400 --val 100 --size 64
    """
    from foveate.cli._looking import looking
    from foveate.data.scenes.stereo import StereoOptions
    from foveate.stereo import write_stereo_scenes

    options = StereoOptions(
        max_disparity=max_disparity, pieces=pieces, slant=slant, texture=texture
    )
    with looking(quiet, kept=f"nothing was written to {out}") as tell:
        write_stereo_scenes(
            out,
            count=count,
            val=val,
            size=size,
            width=width,
            seed=seed,
            options=options,
            tell=tell,
        )
    typer.echo(f"{count} pairs to train and {val} to validate")
    typer.echo(f"data set: {out}")

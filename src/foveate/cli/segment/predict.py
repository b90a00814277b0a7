"""``foveate segment predict``: give every pixel of images a class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a segmenter.")],
    images: Annotated[list[str], typer.Argument(help="Image files and folders of images.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("found"),
    draw: Annotated[
        bool, typer.Option("--draw/--no-draw", help="Draw the classes over each image.")
    ] = True,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many images of each folder.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    device: asked.Device = None,
    quiet: asked.Quiet = False,
) -> None:
    """Write a mask of class numbers for each image, a picture of it, and predictions.json.

    Example:
        foveate segment predict runs/fpn photos holiday.jpg --out found
    """
    from foveate.cli._looking import looking, unreadable_lines
    from foveate.segmentation import predict_maps

    with looking(quiet, kept=f"the masks written so far are in {out}") as tell:
        found = predict_maps(
            *(run, images, out),
            **{"draw": draw, "limit": limit, "batch_size": batch_size},
            device=device,
            tell=tell,
        )
    typer.echo(f"masks of {len(found.images)} images: {out / 'masks'}")
    for line in unreadable_lines(found.unreadable):
        typer.echo(line)
    if draw:
        typer.echo(f"pictures: {out / 'pictures'}")
    typer.echo(f"numbers:  {found.file}")

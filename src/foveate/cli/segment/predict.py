"""``foveate segment predict``: give every pixel of images a class."""

from __future__ import annotations

from typing import Any

import typer

from foveate.cli import _asked as asked


@asked.predicts
def predict(**given: Any) -> None:
    """Write a mask of class numbers for each image, a picture of it, and predictions.json.

    Example:
        foveate segment predict runs/fpn photos holiday.jpg --out found
    """
    from foveate.cli._looking import looking, unreadable_lines
    from foveate.segmentation import predict_maps

    quiet, out = given.pop("quiet"), given["out"]
    with looking(quiet, kept=f"the masks written so far are in {out}") as tell:
        found = predict_maps(given.pop("run"), given.pop("images"), tell=tell, **given)
    typer.echo(f"masks of {len(found.images)} images: {out / 'masks'}")
    for line in unreadable_lines(found.unreadable):
        typer.echo(line)
    if given["draw"]:
        typer.echo(f"pictures: {out / 'pictures'}")
    typer.echo(f"numbers:  {found.file}")

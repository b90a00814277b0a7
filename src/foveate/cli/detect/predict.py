"""``foveate detect predict``: find objects in images."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foveate.cli import _asked as asked


@asked.predicts
def predict(
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The least score of an object.")
    ] = 0.5,
    **given: Any,
) -> None:
    """Find objects; write predictions.json, in COCO's format, and a picture of each image.

    Example:
        foveate detect predict runs/das photos holiday.jpg --out found --threshold 0.3
    """
    from foveate.cli._looking import looking, unreadable_lines
    from foveate.detection import predict as look

    quiet, out = given.pop("quiet"), given["out"]
    with looking(quiet, kept=f"what was found so far is in {out}") as tell:
        found = look(given.pop("run"), given.pop("images"), threshold=threshold, tell=tell, **given)
    typer.echo(f"{found.objects} objects of score {threshold:g} or more in {found.images} images")
    for line in unreadable_lines(found.unreadable):
        typer.echo(line)
    typer.echo(f"objects:  {found.file}")
    if found.pictures:
        typer.echo(f"pictures: {found.pictures[0].parent}")

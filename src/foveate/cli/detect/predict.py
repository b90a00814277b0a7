"""``foveate detect predict``: find objects in images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a detector.")],
    images: Annotated[list[str], typer.Argument(help="Image files and folders of images.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("found"),
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The least score of an object.")
    ] = 0.5,
    draw: Annotated[
        bool, typer.Option("--draw/--no-draw", help="Draw a picture of each image.")
    ] = True,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many images of each folder.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    device: asked.Device = None,
    quiet: asked.Quiet = False,
) -> None:
    """Find objects; write predictions.json, in COCO's format, and a picture of each image.

    Example:
        foveate detect predict runs/das photos holiday.jpg --out found --threshold 0.3
    """
    from foveate.cli._looking import looking, unreadable_lines
    from foveate.detection import predict as look

    with looking(quiet, kept=f"the pictures drawn so far are in {out}") as tell:
        found = look(
            run,
            images,
            out,
            threshold=threshold,
            draw=draw,
            limit=limit,
            batch_size=batch_size,
            device=device,
            tell=tell,
        )
    typer.echo(f"{found.objects} objects of score {threshold:g} or more in {found.images} images")
    for line in unreadable_lines(found.unreadable):
        typer.echo(line)
    typer.echo(f"objects:  {found.file}")
    if found.pictures:
        typer.echo(f"pictures: {found.pictures[0].parent}")

"""``foveate stereo predict``: find the disparity of pairs of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def predict(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a stereo network.")],
    left: Annotated[Path, typer.Option(help="The left view: an image, or a folder of images.")],
    right: Annotated[Path, typer.Option(help="The right view, or a folder of the same names.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("disparities"),
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Steps of the recurrence; by default as in training.")
    ] = None,
    top: Annotated[
        float | None,
        typer.Option(help="Disparity of the last color; by default the largest of each pair."),
    ] = None,
    draw: Annotated[
        bool, typer.Option("--draw/--no-draw", help="Write a colored PNG of each disparity.")
    ] = True,
    device: asked.Device = None,
    quiet: asked.Quiet = False,
) -> None:
    """Find the disparity of rectified pairs of any size; write NAME.pfm and NAME.png.

    A point at column x of the left view is at x - disparity in the right one.

    Example:
        foveate stereo predict runs/das --left a.png --right b.png --out found
        foveate stereo predict runs/das --left pairs/left --right pairs/right --iterations 12
    """
    from foveate.cli._looking import looking, unreadable_lines
    from foveate.stereo import predict as look

    with looking(quiet, kept=f"the disparities found so far are in {out}") as tell:
        found = look(
            run,
            left,
            right,
            out,
            iterations=iterations,
            top=top,
            draw=draw,
            device=device,
            tell=tell,
        )
    typer.echo(f"disparities of {len(found.files)} pairs: {out}")
    for line in unreadable_lines(found.unreadable):
        typer.echo(line)

"""``foveate scenes``: make a data set of generated scenes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scenes(
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    count: Annotated[int, typer.Option(help="Images to train on.")] = 1000,
    val: Annotated[int, typer.Option(help="Images to validate on.")] = 200,
    size: Annotated[int, typer.Option(help="Side of the images in pixels.")] = 96,
    classes: Annotated[
        int | None, typer.Option(help="How many classes; by default 8, or 4 without a cue.")
    ] = None,
    cue: Annotated[
        str | None,
        typer.Option(
            help="What the marker says: color, match (with the object's color) or none; "
            "by default color, or none with --objects."
        ),
    ] = None,
    far_fraction: Annotated[
        float, typer.Option(help="Share of the images whose marker lies far from the object.")
    ] = 0.5,
    scale: Annotated[
        float, typer.Option(help="Diameter of the object, as a share of the side.")
    ] = 0.25,
    clutter: Annotated[
        int | None, typer.Option(help="Muted pieces; by default 12, or 0 with --backgrounds.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes other images.")] = 0,
    objects: Annotated[
        Path | None,
        typer.Option(help="Your cut-outs (png, webp with transparency); a subfolder is a class."),
    ] = None,
    backgrounds: Annotated[Path | None, typer.Option(help="Your background images.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace train, val and annotations in the folder.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Make a data set: small salient objects among clutter, with exact boxes and masks.

    The folder gets train/CLASS/*.png, val/CLASS/*.png and annotations/train.json and val.json in
    COCO's format, so every command of foveate and COCO tools read it. From five cut-outs or
    backgrounds on, a fifth of them appears in val alone.

    Example:
        foveate scenes data/scenes --count 2000 --val 400 --size 96
        foveate scenes data/animals --objects cutouts --backgrounds photos --size 224
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    from foveate.data.scenes import SceneOptions
    from foveate.data.scenes.writer import write_scenes

    options = SceneOptions(
        classes=classes,
        cue=cue,
        far_fraction=far_fraction,
        scale=scale,
        clutter=clutter,
        objects=objects,
        backgrounds=backgrounds,
    )
    columns = (TextColumn("making scenes"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("scenes", total=count + val)
        try:
            made = write_scenes(
                out,
                count=count,
                val=val,
                size=size,
                seed=seed,
                options=options,
                force=force,
                progress=lambda done, _: bar.update(task, completed=done),
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; nothing was written to {out}") from None
    shown = ", ".join(made.classes[:8]) + (", ..." if len(made.classes) > 8 else "")
    typer.echo(
        f"{made.images['train']} images to train and {made.images['val']} to validate, "
        f"{size}x{size}, in {len(made.classes)} classes ({shown})"
    )
    if made.unreadable:
        typer.echo(f"images left out for unreadable files: {len(made.unreadable)}")
        for name, reason in sorted({(item.name, item.reason) for item in made.unreadable}):
            typer.echo(f"  {name}: {reason}")
    typer.echo(f"data set: {out}")

"""``foveate detect convert``: other annotations and large images, in COCO's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="voc:FOLDER (Pascal VOC's XML), crowns:FOLDER (deepforest/data of that package),"
            " or, with --tile, coco:ANNOTATIONS.json[:IMAGES]."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    tile: Annotated[
        int | None, typer.Option(min=32, help="Cut the images into crops of this side in pixels.")
    ] = None,
    overlap: Annotated[
        float, typer.Option(help="Share of a crop that the next one repeats.")
    ] = 0.1,
    keep: Annotated[float, typer.Option(help="Share of a box that a crop must show.")] = 0.3,
    val: Annotated[float, typer.Option(help="Share of the pixels for validation.")] = 0.25,
    seed: Annotated[int, typer.Option(help="Of the choice of what is for validation.")] = 0,
) -> None:
    """Write a data set that every command on detectors reads: images, and boxes in COCO's format.

    Cut into crops, no pixel is both in train and in val. What is wrong in the annotations is
    counted, told and left out.

    Example:
        foveate detect convert voc:VOC2012 data/voc
        foveate detect convert crowns:deepforest/data data/crowns --tile 320
    """
    from foveate.core import expected
    from foveate.detection.data import (
        convert_voc,
        open_detection,
        open_voc,
        problem_lines,
        tile_crowns,
    )
    from foveate.detection.data import tile as cut

    kind, _, place = source.partition(":")
    folder = Path(place).expanduser()
    if kind not in ("voc", "crowns", "coco") or not place or (kind == "coco" and tile is None):
        rule = "voc:FOLDER, crowns:FOLDER, or coco:ANNOTATIONS.json[:IMAGES] with --tile SIDE"
        raise ValueError(expected("convert", rule, source))
    if kind == "voc" and tile is None:
        written = convert_voc(folder, out, seed=seed)
    elif kind == "crowns":
        written = tile_crowns(
            folder, out, side=tile or 320, overlap=overlap, keep=keep, val=val, seed=seed
        )
    else:
        whole = open_voc(folder, None) if kind == "voc" else open_detection(source, "train")
        for line in problem_lines(whole.problems.as_dict()):
            typer.echo(line, err=True)
        written = cut(whole, out, side=tile or 320, overlap=overlap, keep=keep, val=val, seed=seed)
    for split, images in written.images.items():
        typer.echo(f"{split}: {images} images with {written.objects[split]} objects")
    if written.unreadable:
        typer.echo(f"unreadable images, left out: {len(written.unreadable)}")
        for item in written.unreadable:
            typer.echo(f"  {item.name}: {item.reason}")
    typer.echo(f"data set: {out}")

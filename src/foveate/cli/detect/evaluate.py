"""``foveate detect evaluate``: measure a trained detector again, or on other images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a detector.")],
    data: Annotated[
        str | None, typer.Option(help="Other images, as in `foveate detect train --data`.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many of them.")] = None,
    batch_size: asked.BatchSize = None,
    device: asked.Device = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for detections.json, result.json and curves.")
    ] = None,
    as_json: asked.AsJson = False,
    quiet: asked.Quiet = False,
) -> None:
    """Evaluate a detector on its validation images, or on others with the same classes.

    Average precision is COCO's: over IoU 0.50 to 0.95, at 0.50, at 0.75, and for small, medium and
    large objects. An image that cannot be read is named and left out, never replaced by another.

    Example:
        foveate detect evaluate runs/das --data data/other --out evaluated
    """
    from foveate.cli._detecting import class_table, summary, tell_problems
    from foveate.cli._looking import looking
    from foveate.core.files import write_json
    from foveate.detection import draw_curves, evaluate_detector, write_detections

    with looking(quiet) as tell:
        result, detections = evaluate_detector(
            run, data, limit=limit, batch_size=batch_size, device=device, tell=tell
        )
    tell_problems(result["problems"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_detections(out / "detections.json", detections)
        write_json(out / "result.json", result)
        draw_curves(result, out / "curves.png")
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    typer.echo(summary(result))
    typer.echo(class_table(result))
    if out is not None:
        typer.echo(f"detections, numbers and curves: {out}")

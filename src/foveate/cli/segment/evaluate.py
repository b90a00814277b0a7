"""``foveate segment evaluate``: measure a trained segmenter again, or on other images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a segmenter.")],
    data: Annotated[
        str | None, typer.Option(help="Other images, as in `foveate segment train --data`.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many of them.")] = None,
    batch_size: asked.BatchSize = None,
    device: asked.Device = None,
    out: Annotated[Path | None, typer.Option(help="A folder for result.json.")] = None,
    as_json: asked.AsJson = False,
    quiet: asked.Quiet = False,
) -> None:
    """Evaluate a segmenter on its validation images, or on others with the same classes.

    mIoU is the mean over classes of intersection over union; one that is in no mask and never
    found is left out of it and named. Pixels that a mask ignores do not count.

    Example:
        foveate segment evaluate runs/fpn --data data/other --out evaluated
    """
    from foveate.cli._looking import looking
    from foveate.cli._segmenting import class_table, summary
    from foveate.core.files import write_json
    from foveate.segmentation import evaluate_segmenter

    with looking(quiet) as tell:
        result = evaluate_segmenter(
            run, data, limit=limit, batch_size=batch_size, device=device, tell=tell
        )
    if out is not None:
        write_json(out / "result.json", result)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    typer.echo(summary(result))
    typer.echo(class_table(result))

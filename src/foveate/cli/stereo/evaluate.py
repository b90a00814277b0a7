"""``foveate stereo evaluate``: measure a trained stereo network again, or on other pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from foveate.cli import _asked as asked


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder of a stereo network.")],
    data: Annotated[
        str | None, typer.Option(help="Other pairs, as in `foveate stereo train --data`.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many of them.")] = None,
    batch_size: asked.BatchSize = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Steps of the recurrence; by default as in training.")
    ] = None,
    device: asked.Device = None,
    out: Annotated[Path | None, typer.Option(help="A file for the numbers, as JSON.")] = None,
    as_json: asked.AsJson = False,
    quiet: asked.Quiet = False,
) -> None:
    """Evaluate a stereo network on its validation pairs, or on others.

    EPE is the mean of |found - true| in pixels; bad-1 and bad-3 are the shares of pixels that are
    off by more than 1 and 3; D1 is KITTI's. A pair that cannot be read is named and left out.

    Example:
        foveate stereo evaluate runs/das --data data/pairs --iterations 12
    """
    from foveate.cli._looking import looking
    from foveate.cli._matching import summary
    from foveate.core.files import write_json
    from foveate.stereo import evaluate_stereo

    with looking(quiet) as tell:
        result = evaluate_stereo(
            run,
            data,
            limit=limit,
            batch_size=batch_size,
            iterations=iterations,
            device=device,
            tell=tell,
        )
    if out is not None:
        write_json(out, result)
    typer.echo(json.dumps(result, indent=2) if as_json else summary(result))

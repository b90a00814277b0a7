"""``foveate evaluate``: measure a trained network again, or on other images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    data: Annotated[
        str | None,
        typer.Option(help="Other images: scenes, fashion-mnist[:ROOT], cifar100[:ROOT], a folder."),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a run on its validation images, or on others with the same classes.

    An image that cannot be read is named and left out, never replaced by another.

    Example:
        foveate evaluate runs/das --data my-photos
    """
    from foveate.cli.train import summary
    from foveate.training import evaluate as run_evaluation

    result = run_evaluation(run, data, batch_size=batch_size)
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    typer.echo(summary(result))
    width = max(len(name) for name in result["classes"])
    for name, entry in result["classes"].items():
        top1 = "-" if entry["top1"] is None else f"{100 * entry['top1']:.2f} %"
        typer.echo(f"  {name:<{width}}  {top1:>8}  of {entry['images']}")

"""``foveate train``: a recipe in, a run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe (TOML), or a run folder to continue with --resume.")
    ],
    data: Annotated[
        str | None,
        typer.Option(
            help="Where the recipe's data lie (imagenet: its folder or archives), or another"
            " source, such as shards:s3://bucket/imagenet."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder to make; by default runs/NAME-seedK."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last checkpoint.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(help="Another seed than the recipe's."),
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a key of the recipe; repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    r"""Train a network by a recipe and leave a run folder.

    Ctrl-C, a kill or a crash keeps the last checkpoint (of the last epoch, or nearer with --set
    train.checkpoint_minutes=5); the same command with --resume goes on from there.

    On several GPUs start it by torchrun, on a cluster by srun: see docs/scaling.md.

    Example:
        foveate train recipes/scenes-resnet18-das.toml --out runs/das --set train.epochs=3
        foveate train recipes/imagenet/resnet50-das.toml --data /data/imagenet
        torchrun --nproc-per-node 8 -m foveate train recipes/imagenet/resnet50-das.toml \
          --data /data/imagenet
    """
    from foveate.cli._recipes import chosen_recipe
    from foveate.training import Recipe
    from foveate.training import train as run_training
    from foveate.training.ranks import is_main_process

    place = None if data is None else lambda source: source_at(source, str(data))
    plan, folder = chosen_recipe(recipe, Recipe, out, seed, change or [], place)
    run = run_training(plan, folder, resume=resume, progress=not quiet)
    if run.result is not None and is_main_process():
        typer.echo(summary(run.result))
        typer.echo(f"run folder: {run.path}")


def source_at(source: str, place: str) -> str:
    """Return the data source of a recipe, found at another place, or the other source itself.

    Example:
        >>> source_at("imagenet", "/data"), source_at("imagenet", "shards:s3://bucket/set")
        ('imagenet:/data', 'shards:s3://bucket/set')
    """
    from foveate.data import SOURCES

    kind = source.partition(":")[0]
    named = place == "scenes" or (place.partition(":")[0] in SOURCES and ":" in place)
    return place if named or kind == "scenes" or kind not in SOURCES else f"{kind}:{place}"


def summary(result: dict[str, Any]) -> str:
    """Put the result of a run, or of an evaluation, into a few lines."""
    lines = [
        f"top-1 {100 * result['top1']:.2f} %, top-5 {100 * result['top5']:.2f} %, "
        f"loss {result['loss']:.4f} on {result['images']} images"
    ]
    unreadable = result["unreadable"]
    if unreadable:
        lines.append(f"unreadable images, left out: {len(unreadable)}")
        lines += [f"  {entry['name']}: {entry['reason']}" for entry in unreadable]
    return "\n".join(lines)

"""``foveate shards``: write images as tar shards, or index those that others wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer


def shards(
    source: Annotated[
        str | None, typer.Argument(help="A data set: a folder, imagenet:ROOT, scenes, ...")
    ] = None,
    out: Annotated[Path | None, typer.Argument(help="The folder of shards to make.")] = None,
    size: Annotated[str, typer.Option(help="Size of a shard at most: 500kB, 100MB, 1GB.")] = (
        "100MB"
    ),
    split: Annotated[
        str | None, typer.Option(help="Write train or val alone; by default both.")
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(help="Index the tars of this folder instead, whoever wrote them."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what the folder has.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Write a data set as tar shards in WebDataset's form, for data that outgrow a disk.

    Files keep their bytes, made images become PNG. Copy the folder to any web server or object
    store and train from there: each shard is fetched when it is its turn, and as many are kept as
    the cache has room for. With --index, tars that others wrote (train-*.tar and val-*.tar, or
    folders train and val; KEY.jpg beside KEY.cls, names of the classes in classes.txt) get the
    index that training reads.

    Example:
        foveate shards imagenet:data/imagenet shards/imagenet --size 500MB
        foveate shards --index shards/pets
        foveate train recipe.toml --data shards:s3://bucket/imagenet
    """
    from foveate.core import Words, check_choice, expected
    from foveate.data import open_dataset

    if split is not None:
        check_choice("foveate shards", "split", split, ("train", "val"))
    if index is not None and source is None:
        _index(index, split, force, quiet)
    elif source is not None and out is not None and index is None:
        limit, parts = parse_size(size), (split,) if split else ("train", "val")
        # Both before the first is written, which may take hours.
        opened = {part: open_dataset(source, part) for part in parts}
        if len({dataset.classes for dataset in opened.values()}) > 1:
            counts = [f"{len(opened[part].classes)} in {part}" for part in parts]
            rule, got = "the same classes in train and val", Words(", ".join(counts))
            raise ValueError(expected("foveate shards", rule, got, "write one with --split"))
        for part, dataset in opened.items():
            _write(dataset, out, part, limit, force, quiet)
        typer.echo(f"train from it: --data shards:{out}")
    else:
        rule = "a data set and a folder to make, or --index FOLDER alone"
        given = [str(word) for word in (source, out, index and f"--index {index}") if word]
        got = Words(" ".join(given) or "nothing")
        raise ValueError(expected("foveate shards", rule, got))


def parse_size(text: str) -> int:
    """Return a size such as ``100MB`` in bytes; k, M and G are powers of 1000.

    Raises:
        ValueError: If it is none.

    Example:
        >>> parse_size("1.5GB"), parse_size("500 kB")
        (1500000000, 500000)
    """
    from foveate.core import expected

    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMG]?)B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(expected("--size", "a size such as 100MB", text))
    scale = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[found[2].lower()]
    return round(float(found[1]) * scale)


def _write(dataset: Any, out: Path, split: str, size: int, force: bool, quiet: bool) -> None:
    from foveate.data.shards.writer import write_shards

    with _bar(f"writing {split}", len(dataset), quiet) as bar:
        try:
            written = write_shards(
                dataset,
                out,
                split,
                shard_bytes=size,
                force=force,
                progress=lambda done, _: bar.update(bar.task_ids[0], completed=done),
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; no {split} was written to {out}") from None
    typer.echo(f"{split}: {written.images} images in {written.shards} shards, {_mb(written.bytes)}")
    if written.unreadable:
        typer.echo(f"  left out as unreadable: {len(written.unreadable)}")
        for item in written.unreadable[:10]:
            typer.echo(f"  {item.name}: {item.reason}")


def _index(folder: Path, split: str | None, force: bool, quiet: bool) -> None:
    from foveate.core import Words, expected
    from foveate.data.shards.index import INDEX
    from foveate.data.shards.scan import find_shards, index_tars

    if split is not None:
        raise ValueError(expected("foveate shards --index", "no --split: it takes all", split))
    if (folder / INDEX).exists() and not force:
        got = Words(f"{folder / INDEX}")
        remedy = "replace it with --force"
        raise ValueError(expected("foveate shards --index", "a folder without one", got, remedy))
    tars = find_shards(folder)
    total = sum(path.stat().st_size for paths in tars.values() for path in paths)
    with _bar("indexing", total, quiet) as bar:
        made = index_tars(
            folder, tars, progress=lambda done, _: bar.update(bar.task_ids[0], completed=done)
        )
    made.save(folder)
    for name, found in made.splits.items():
        images, size = sum(map(len, found)), sum(shard.bytes for shard in found)
        typer.echo(f"{name}: {images} images in {len(found)} shards, {_mb(size)}")
    typer.echo(f"{len(made.classes)} classes; train from it: --data shards:{folder}")


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _bar(what: str, total: int, quiet: bool) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn(what), BarColumn(), TaskProgressColumn(), TimeLeft())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)
    bar.add_task(what, total=total)
    return bar

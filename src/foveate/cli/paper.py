"""``foveate paper``: the paper's tables beside ours, and its ablations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from foveate.explain import Subject

RUNS = Path("runs")
FIGURE4, SFD = "figure4", "sfd"


def paper(
    what: Annotated[
        str,
        typer.Argument(
            help="table1 to table5, figure3, figure4 or sfd; ablation-design, ablation-norm,"
            " ablation-alpha, ablation-sites or ablation-start."
        ),
    ],
    rows: Annotated[
        str, typer.Option(help="Only these groups of a table, with commas: resnet18,resnet50.")
    ] = "",
    runs: Annotated[
        Path | None,
        typer.Option(help="Where finished runs and studies are looked for; by default runs."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="Of a table: text, md or json; by default text.")
    ] = "",
    data: Annotated[
        str | None, typer.Option(help="Of an ablation: the images, as for foveate compare.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Of an ablation: a recipe (TOML) as the base.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Of an ablation: how many seeds; by default 3.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder of an ablation's study, of figure3, figure4 or sfd."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Of figure4 and sfd: a run, a study, a folder of foveate.save or the name of a"
            " model with published weights; repeatable."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Images of figure4 (by default 4) or of sfd (100)."),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(help="Of figure4 and sfd: where objects lie, as for foveate explain."),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="Of grounded-sam: Grounding DINO, as for foveate explain.")
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(help="Of grounded-sam: SAM or SAM 2, as for foveate explain.")
    ] = None,
    deletion: Annotated[
        int, typer.Option(min=0, help="Of sfd: steps of the deletion and insertion curves.")
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Print a table of the paper beside ours, or run one of its ablations.

    Published figures say where they are from. Costs are counted on the networks as they are built,
    as the paper printed them and in full. Accuracies come from finished runs of that experiment;
    without one a row says "not run". An ablation continues the study that its folder holds.

    Example:
        foveate paper table1 --rows resnet50
        foveate paper table3 --runs runs --format md
        foveate paper figure3 --out plots
        foveate paper ablation-design --data scenes --seeds 3
        foveate paper sfd --weights runs/compare-scenes-resnet18
        foveate paper figure4 --weights resnet50 --data photos --regions grounded-sam
    """
    from foveate.core import expected, suggest
    from foveate.paper import TABLES
    from foveate.paper.ablation import ABLATIONS

    for_tables = {"--rows": rows, "--runs": runs, "--format": form}
    for_ablations = {"--recipe": recipe, "--seeds": seeds}
    for_looking = {
        "--weights": weights,
        "--limit": limit,
        "--regions": regions,
        "--detector": detector,
        "--segmenter": segmenter,
        "--deletion": deletion,
    }
    if what in ABLATIONS:
        _refuse(what, "a table", for_tables)
        _refuse(what, "figure4 or sfd", for_looking)
        _ablate(what, data, recipe, seeds or 3, out, quiet)
    elif what == FIGURE4 or (what == SFD and weights):
        _refuse(what, "a table", for_tables)
        _refuse(what, "an ablation", for_ablations)
        found = {"detector": detector, "segmenter": segmenter}
        folder = out or RUNS / f"paper-{what}"
        subjects, base = _networks(what, weights or [])
        if what == FIGURE4:
            _refuse(what, "sfd", {"--deletion": deletion})
            _draw(folder, subjects, data, regions or "auto", limit or 4, quiet, found)
        else:
            many = limit or 100
            _score(folder, subjects, base, data, regions or "auto", many, deletion, quiet, found)
    elif what in TABLES:
        _refuse(what, "an ablation", {"--data": data, **for_ablations})
        _refuse(what, "figure4, or sfd with --weights", for_looking)
        _show(what, rows, runs, form or "text", out, quiet)
    else:
        known = [*TABLES, FIGURE4, *ABLATIONS]
        raise ValueError(expected("paper", "a table or an ablation", what, suggest(what, known)))


def _refuse(what: str, wanted: str, options: Mapping[str, object]) -> None:
    """Refuse options that would be passed over.

    Raises:
        ValueError: If one is given.
    """
    from foveate.core import expected

    for name, value in options.items():
        if value:
            raise ValueError(expected(name, wanted, what, "leave it out"))


def _show(
    what: str, rows: str, runs: Path | None, form: str, out: Path | None, quiet: bool
) -> None:
    """Print a table; figure 3 is drawn too if it is told where.

    Raises:
        ValueError: If another table is to be written into a folder, or a name is unknown.
    """
    import shutil

    from foveate.core import check_choice, expected
    from foveate.paper import paper_table
    from foveate.paper.table import FORMATS

    check_choice("paper", "--format", form, FORMATS)
    if out is not None and what != "figure3":
        remedy = "a table is printed: send it to a file with >"
        raise ValueError(expected("--out", "an ablation or figure3", what, remedy))
    # Only the default folder may be missing.
    folder = runs if runs is not None else (RUNS if RUNS.is_dir() else None)
    only = tuple(word.strip() for word in rows.split(",") if word.strip())
    with progress(not quiet) as tell:
        table = paper_table(what, folder, only, tell)
    width = max(80, min(shutil.get_terminal_size().columns, 130))
    typer.echo(table.render(form, width))
    if out is not None:
        typer.echo(f"plot: {_plot(out, folder, only)}", err=form != "text")


def _plot(out: Path, runs: Path | None, only: tuple[str, ...]) -> Path:
    from foveate.core.files import write_bytes
    from foveate.paper.figure3 import figure3_png

    path = out / "figure3.png"
    write_bytes(path, figure3_png(runs, only))
    return path


def _ablate(
    what: str, data: str | None, recipe: Path | None, seeds: int, out: Path | None, quiet: bool
) -> None:
    """Run an ablation, or what is missing of it, and print its table."""
    from foveate.cli.report import show
    from foveate.paper.ablation import run_ablation
    from foveate.training import load_recipe

    base = load_recipe(recipe) if recipe else None
    folder = run_ablation(what, recipe=base, data=data, seeds=seeds, out=out, quiet=quiet)
    show(folder / "report.html")
    for plot in sorted(folder.glob("*.png")):
        typer.echo(f"plot:   {plot}")


def _networks(what: str, weights: list[str]) -> tuple[list[Subject], str | None]:
    """The networks to look at, and which of them the others are compared with.

    Raises:
        ValueError: If there is no network.
    """
    from foveate.cli._explaining import default_base
    from foveate.core import Words, expected
    from foveate.explain.subjects import open_subjects, told_apart

    if not weights:
        remedy = "for example --weights runs/das-seed0 --weights runs/none-seed0"
        raise ValueError(expected(f"paper {what}", "--weights", Words("none"), remedy))
    groups = [open_subjects(one) for one in weights]
    subjects = told_apart(groups)
    return subjects, default_base(subjects) or (groups[0][0].label if len(groups) > 1 else None)


def _draw(
    folder: Path,
    subjects: list[Subject],
    data: str | None,
    regions: str,
    count: int,
    quiet: bool,
    found: dict[str, str | None],
) -> None:
    """Draw figure 4 of images spread over all there are; of each label its first seed."""
    from foveate.cli._explaining import find_regions
    from foveate.explain.subjects import open_images_for
    from foveate.paper.figure4 import figure4

    dataset, _ = open_images_for(subjects[0], data)
    where = find_regions(regions, dataset, folder / "regions", **found)
    first = {one.label: one for one in reversed(subjects)}
    shown = [one for one in subjects if first[one.label] is one]
    with progress(not quiet) as tell:
        path = figure4(shown, dataset, where, folder, count=count, tell=tell)
    typer.echo(f"picture: {path}")


def _score(
    folder: Path,
    subjects: list[Subject],
    base: str | None,
    data: str | None,
    regions: str,
    limit: int,
    deletion: int,
    quiet: bool,
    found: dict[str, str | None],
) -> None:
    """Score networks as the paper did its own, and print both."""
    from foveate.cli._explaining import explain_into, find_regions
    from foveate.cli.explain import show
    from foveate.explain.subjects import open_images_for

    dataset, source = open_images_for(subjects[0], data, limit=limit)
    where = find_regions(regions, dataset, folder / "regions", **found)
    page = explain_into(
        folder,
        subjects,
        dataset,
        where,
        source,
        quiet=quiet,
        base=base,
        title="The paper's score on our networks",
        deletion=deletion,
    )
    show(page)
    _show(SFD, "", folder, "text", None, quiet)


@contextmanager
def progress(enabled: bool) -> Iterator[Callable[[str, float], None]]:
    """A line on the terminal that says what is being counted; nothing in a pipe."""
    from rich.console import Console
    from rich.status import Status

    console = Console(file=sys.stderr)
    if not (enabled and console.is_terminal):
        yield lambda _label, _share: None
        return
    with Status("reading", console=console) as status:
        yield lambda label, share: status.update(f"{100 * share:3.0f} % {label}")

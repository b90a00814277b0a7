"""``foveate compare``: train attentions side by side and say what differs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    data: Annotated[
        str | None,
        typer.Argument(
            help="scenes (generated), fashion-mnist[:ROOT], cifar100[:ROOT], or a folder of"
            " images by class; by default the recipe's, else scenes."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A timm name, or torchvision/NAME [default: resnet18].")
    ] = None,
    attentions: Annotated[
        str,
        typer.Option(
            help="Names with commas between; none is the plain network, all is every one."
        ),
    ] = "none,das,se",
    seeds: Annotated[str, typer.Option(help="How many, or a list such as 3,5,8.")] = "3",
    recipe: Annotated[Path | None, typer.Option(help="A recipe (TOML) as the base.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    size: Annotated[int | None, typer.Option(min=8, help="Side of the images in pixels.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd or adamw.")] = None,
    limit_train: Annotated[int | None, typer.Option(min=2, help="Training images at most.")] = None,
    limit_val: Annotated[int | None, typer.Option(min=1, help="Validation images at most.")] = None,
    stem: Annotated[str | None, typer.Option(help="imagenet, or small for small images.")] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="A site (stages, blocks, post_norm, ...) with a choice such as post_norm:last or"
            " stages@2..-1, or module patterns with commas."
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(help="paper or identity.")] = None,
    pretrained: Annotated[
        bool | None,
        typer.Option("--pretrained", help="Start from published weights, best with identity."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME.KEY=VALUE", help="An attention's option: das.alpha=0.1."),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL=NAME:KEY=VALUE,...",
            help="One more row: an attention with options of its own, under a label of your own,"
            " such as das-thin=das:alpha=0.02; where= among them moves it. Repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study folder; by default runs/compare-DATA-MODEL.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Continue the same study in the folder.")
    ] = True,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Measure the costs again; finished runs stay.")
    ] = False,
    control: Annotated[
        bool,
        typer.Option("--control/--no-control", help="Add a plain network of equal parameters."),
    ] = True,
    explain: Annotated[
        bool, typer.Option("--explain/--no-explain", help="Draw what the networks look at.")
    ] = True,
    images: Annotated[int, typer.Option(min=1, help="How many images to draw.")] = 6,
    scored: Annotated[
        int, typer.Option(min=1, help="How many images to score what the networks look at on.")
    ] = 100,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train attentions with one recipe and the same seeds; write a table and an HTML report.

    Interrupted, the same command continues and redoes only what is missing.

    Example:
        foveate compare scenes --model resnet18 --attentions none,das,se --seeds 3
        foveate compare scenes --attentions none,das --variant das-thin=das:alpha=0.02
    """
    from foveate.cli._words import options_of, seeds_of, slug, variants_of, where_of, words
    from foveate.cli.report import show
    from foveate.report import write_report
    from foveate.training import default_recipe, default_study, load_recipe, run_study

    base = load_recipe(recipe) if recipe else default_recipe(data or "scenes", model)
    given = {
        "data.source": data,
        "data.size": size,
        "data.limit_train": limit_train,
        "data.limit_val": limit_val,
        "model.name": model,
        "model.stem": stem,
        "model.where": where_of(where),
        "model.start": start,
        "model.pretrained": pretrained,
        "train.epochs": epochs,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.optimizer": optimizer,
    }
    base = base.changed(**{key: value for key, value in given.items() if value is not None})
    study = default_study(
        base.data.source,
        base,
        attentions=words(attentions),
        seeds=seeds_of(seeds),
        control=control,
        options=options_of(option or []),
        variants=variants_of(variant or []),
    )
    folder = out or Path("runs") / f"compare-{slug(base.data.source)}-{slug(base.model.name)}"
    run_study(study, folder, resume=resume, remeasure=remeasure, progress=not quiet)
    if explain and not _is_explained(folder, images, scored):
        write_report(folder)  # Should this fail, the numbers are there all the same.
        _explain(folder, images, scored, quiet)
    show(write_report(folder))


def _explain(folder: Path, images: int, scored: int, quiet: bool) -> None:
    """Score and draw what the networks of a finished study look at."""
    import shutil

    from foveate.cli._explaining import default_base, explain_into, find_regions
    from foveate.core import MissingExtraError
    from foveate.core.files import write_json
    from foveate.explain.subjects import open_images_for, open_subjects

    out = folder / "explain"
    if _asked(out) != [images, scored]:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        write_json(out / "asked.json", [images, scored])
    subjects = open_subjects(folder)
    limit = min(scored, subjects[0].data.limit_val or scored)
    dataset, source = open_images_for(subjects[0], None, limit=limit)
    try:
        explain_into(
            out,
            subjects,
            dataset,
            find_regions("auto", dataset, out / "regions"),
            source,
            quiet=quiet,
            base=default_base(subjects),
            pictures=images,
            view=min(images, 4),
        )
    except MissingExtraError as error:
        _tell(f"what the networks look at is left out: {error}", quiet)


def _is_explained(folder: Path, images: int, scored: int) -> bool:
    """Whether it is there, for as many images as are asked for."""
    out = folder / "explain"
    return (out / "explain.json").is_file() and _asked(out) == [images, scored]


def _asked(out: Path) -> object:
    """How many images were to be drawn and scored when ``out`` was made; None if unknown."""
    from foveate.core.reading import read_json

    try:
        return read_json(out / "asked.json")
    except (OSError, ValueError):
        return None


def _tell(text: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(text, err=True)

"""``foveate explain``: see what networks look at, and score whether it is the object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def explain(
    target: Annotated[
        str,
        typer.Argument(
            help="A run folder, a study folder, a folder of foveate.save, or the name of a model"
            " with published weights."
        ),
    ],
    images: Annotated[
        str | None,
        typer.Argument(
            help="An image, a folder of images, coco:ANNOTATIONS.json[:IMAGES], or a source such as"
            " scenes; by default the validation images of the run."
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another network to compare with; repeatable. The first is the base."),
    ] = None,
    regions: Annotated[
        str,
        typer.Option(
            help="Where the object lies: auto (masks or boxes of the data), masks, boxes,"
            " grounded-sam, or none."
        ),
    ] = "auto",
    prompt: Annotated[
        str, typer.Option(help="What grounded-sam looks for; {class} is the class of the image.")
    ] = "{class}",
    detector: Annotated[
        str | None,
        typer.Option(help="Of grounded-sam, a folder or a name of the hub: Grounding DINO."),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(help="Of grounded-sam, a folder or a name of the hub: SAM or SAM 2."),
    ] = None,
    box_threshold: Annotated[
        float, typer.Option(help="Boxes of grounded-sam below this score are dropped.")
    ] = 0.35,
    text_threshold: Annotated[
        float, typer.Option(help="Words below this score do not name a box.")
    ] = 0.25,
    region_cache: Annotated[
        Path | None,
        typer.Option(help="Where masks of grounded-sam are kept; by default OUT/regions."),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of your own masks, IMAGE.png each, which win over any other."),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            help="Maps to score, with commas: stage4,stage4:before,stage3 or names of modules; the"
            " first is the one that is told. By default these three, of the last stages."
        ),
    ] = "",
    explained: Annotated[
        str, typer.Option(help="The class each map explains: predicted, or label.")
    ] = "predicted",
    base: Annotated[float, typer.Option(help="Base of sfd's anti-log.")] = 10.0,
    shift: Annotated[
        float, typer.Option(help="Of sfd: 0, or 1 for cold pixels to weigh nothing.")
    ] = 0.0,
    threshold: Annotated[
        float, typer.Option(help="From where on a pixel is salient, in [0, 1].")
    ] = 0.5,
    deletion: Annotated[
        int,
        typer.Option(
            min=0, help="Steps of the deletion and insertion curves; slow, 0 leaves them out."
        ),
    ] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Images at most.")] = None,
    pictures: Annotated[int, typer.Option(min=0, help="Images to draw.")] = 12,
    view: Annotated[
        int, typer.Option(min=0, help="Images in the page that shows sampling points.")
    ] = 6,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the images, for a model that is no run.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An option of the images' source; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to make; by default runs/explain-TARGET.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 16,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read images.")] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda; by default a GPU if there is one.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Draw what networks look at, score whether it is the object, and write a report.

    Scores stand beside what a flat map would get. Images that cannot be read are listed and left
    out. Interrupted, the same command goes on where it stopped.

    Example:
        foveate explain runs/das-seed0 --against runs/none-seed0
        foveate explain runs/das-seed0 photos --regions grounded-sam --prompt "{class}"
        foveate explain resnet50 coco:annotations/instances_val2017.json:val2017 --limit 500
    """
    from foveate.cli._explaining import default_base, explain_into, find_regions
    from foveate.explain.scores import ScoreSettings
    from foveate.explain.subjects import open_images_for, open_subjects, told_apart

    groups = [open_subjects(one, size=size, device=device) for one in (target, *(against or []))]
    subjects = told_apart(groups)
    folder = out or Path("runs") / f"explain-{_slug(target)}"
    dataset, source = open_images_for(subjects[0], images, limit=limit, options=_options(option))
    where = find_regions(
        regions,
        dataset,
        region_cache or folder / "regions",
        overrides=masks,
        prompt=prompt,
        detector=detector,
        segmenter=segmenter,
        box_threshold=box_threshold,
        text_threshold=text_threshold,
        device=device,
    )
    page = explain_into(
        folder,
        subjects,
        dataset,
        where,
        source,
        quiet=quiet,
        base=groups[1][0].label if against else default_base(subjects),
        layers=tuple(word.strip() for word in layers.split(",") if word.strip()),
        pictures=pictures,
        view=view,
        explained=explained,
        scores=ScoreSettings(base=base, shift=shift, threshold=threshold),
        deletion=deletion,
        batch_size=batch_size,
        workers=workers,
    )
    show(page)


def show(page: Path) -> None:
    """Print what the explanation in the folder of ``page`` came to, and where its files lie."""
    from rich.console import Console

    from foveate.report import terminal_explanation

    console: Any = Console(highlight=False)
    for part in terminal_explanation(page.parent):
        console.print(part, markup=False)
    typer.echo(f"scores: {page.parent / 'scores.csv'}")
    viewer = page.parent / "viewer.html"
    if viewer.is_file():
        typer.echo(f"viewer: {viewer}")
    typer.echo(f"report: {page}")


def _options(pairs: list[str] | None) -> dict[str, Any]:
    """Read ``cue=match`` as an option of a source.

    Raises:
        ValueError: If a pair has another form.
    """
    from foveate.core import expected
    from foveate.training.toml import parse_value

    found = {}
    for text in pairs or []:
        key, equals, value = text.partition("=")
        if not (equals and key.strip()):
            raise ValueError(expected("--option", "KEY=VALUE", text, "for example cue=match"))
        found[key.strip()] = parse_value(value.strip())
    return found


def _slug(target: str) -> str:
    """A short name for a folder: the end of a path."""
    return Path(target).name.replace(":", "-") or "model"

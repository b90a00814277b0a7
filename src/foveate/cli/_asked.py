"""Arguments and options that the commands of several tasks take alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

CommandOf = TypeVar("CommandOf", bound=Callable[..., None])

RecipeArgument = Annotated[
    Path, typer.Argument(help="A recipe (TOML), or a run folder to continue with --resume.")
]
RecipeBase = Annotated[Path | None, typer.Option(help="A recipe (TOML) of the task as the base.")]
RunFolderOut = Annotated[
    Path | None, typer.Option(help="The run folder to make; by default runs/NAME-seedK.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")]
Seed = Annotated[int | None, typer.Option(help="Another seed than the recipe's.")]
Change = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a key of the recipe; repeatable."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str | None, typer.Option(help="cpu (the default), cuda, cuda:1.")]

Backbone = Annotated[str | None, typer.Option(help="Backbone: a timm name or torchvision/NAME.")]
Attentions = Annotated[
    str, typer.Option(help="Names with commas between; none is the plain backbone.")
]
Seeds = Annotated[str, typer.Option(help="How many, or a list such as 3,5,8.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="How long each run trains.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Images at a time.")]
Rate = Annotated[float | None, typer.Option(help="Learning rate.")]
LimitTrain = Annotated[int | None, typer.Option(min=2, help="Training images at most.")]
LimitVal = Annotated[int | None, typer.Option(min=1, help="Validation images at most.")]
Where = Annotated[
    str | None, typer.Option(help="A site such as stages, or module patterns with commas.")
]
StartHow = Annotated[str | None, typer.Option(help="paper or identity.")]
Pretrained = Annotated[
    bool | None, typer.Option("--pretrained", help="Backbones start from published weights.")
]
OptionOf = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME.KEY=VALUE", help="An attention's option: das.alpha=0.1."),
]
VariantOf = Annotated[
    list[str] | None,
    typer.Option(metavar="LABEL=NAME:KEY=VALUE,...", help="One more row. Repeatable."),
]
StudyOut = Annotated[
    Path | None, typer.Option(help="The study folder; by default runs/TASK-DATA-MODEL.")
]
GoOn = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Continue the same study in the folder.")
]
Remeasure = Annotated[
    bool, typer.Option("--remeasure", help="Measure the costs again; finished runs stay.")
]
Pictures = Annotated[int, typer.Option(min=0, help="How many images to draw results in.")]

FinishedRun = Annotated[Path, typer.Argument(help="A finished run folder of the task.")]
Shown = Annotated[list[str], typer.Argument(help="Image files and folders of images.")]
FoundOut = Annotated[Path, typer.Option(help="The folder to write to.")]
Draw = Annotated[
    bool, typer.Option("--draw/--no-draw", help="Draw a picture of each image with what was found.")
]
LimitEach = Annotated[int | None, typer.Option(min=1, help="Images of each folder at most.")]
AtOnce = Annotated[int, typer.Option(min=1, help="Images at a time.")]


def compares(command: CommandOf) -> CommandOf:
    """Give a command after its own options those that all comparisons take, as ``**given``."""

    def shared(
        recipe: RecipeBase = None,
        model: Backbone = None,
        attentions: Attentions = "none,das,cca,dra",
        seeds: Seeds = "3",
        epochs: Epochs = None,
        batch_size: BatchSize = None,
        lr: Rate = None,
        limit_train: LimitTrain = None,
        limit_val: LimitVal = None,
        where: Where = None,
        start: StartHow = None,
        pretrained: Pretrained = None,
        option: OptionOf = None,
        variant: VariantOf = None,
        change: Change = None,
        out: StudyOut = None,
        resume: GoOn = True,
        remeasure: Remeasure = False,
        images: Pictures = 6,
        quiet: Quiet = False,
    ) -> None: ...

    return _with(command, shared)


def predicts(command: CommandOf) -> CommandOf:
    """Give a command the arguments and options of all predictions in images, as ``**given``."""

    def shared(
        run: FinishedRun,
        images: Shown,
        out: FoundOut = Path("found"),
        draw: Draw = True,
        limit: LimitEach = None,
        batch_size: AtOnce = 1,
        device: Device = None,
        quiet: Quiet = False,
    ) -> None: ...

    return _with(command, shared)


def _with(command: CommandOf, shared: Callable[..., None]) -> CommandOf:
    """Show typer the parameters of ``shared`` in place of a command's ``**given``."""
    parts = [inspect.signature(one, eval_str=True).parameters for one in (command, shared)]
    own = {n: one for n, one in parts[0].items() if one.kind is not one.VAR_KEYWORD}
    both = {**own, **{name: one for name, one in parts[1].items() if name not in own}}
    needed = {name: one for name, one in both.items() if one.default is one.empty}
    both = {**needed, **both}
    told: Any = command  # A function takes attributes of any name.
    told.__signature__ = inspect.Signature(list(both.values()))
    told.__annotations__ = {name: one.annotation for name, one in both.items()}
    return command

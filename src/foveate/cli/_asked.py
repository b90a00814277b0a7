"""Arguments and options that the commands of several tasks take alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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

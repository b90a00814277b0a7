"""What the comparisons of tasks share: from options to a study, its runs, and its report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveate.training.recipe import Recipe

_KEYS = {
    "data": "data.source",
    "size": "data.size",
    "limit_train": "data.limit_train",
    "limit_val": "data.limit_val",
    "model": "model.name",
    "start": "model.start",
    "pretrained": "model.pretrained",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "lr": "train.lr",
}
"""Options of the command line and the keys of a recipe that they replace."""


@dataclass(frozen=True)
class Comparing:
    """What a task compares, and how.

    Attributes:
        name: How its folders begin.
        kind: Its recipes.
        recipe: The recipe where the user names nothing but the data.
        study: Makes a study of a recipe and the fields of one.
        run: Runs it in a folder.
        draw: Draws what the networks of a finished study yield for so many images.
    """

    name: str
    kind: type[Recipe]
    recipe: Callable[[str], Recipe]
    study: Callable[..., Any]
    run: Callable[..., Any]
    draw: Callable[[Any, int], Any]


def run_comparison(task: Comparing, given: Mapping[str, Any], **more: Any) -> None:
    """Run a study as the command line asks for it, and show its report.

    Args:
        task: What is compared.
        given: The options of the command by name.
        **more: Further keys of the recipe by dotted name; None leaves the recipe's.
    """
    from foveate.cli._recipes import pairs_of
    from foveate.cli._words import options_of, seeds_of, slug, variants_of, where_of, words
    from foveate.cli.report import show
    from foveate.report import write_report
    from foveate.training.recipe import load_recipe

    data, recipe = given["data"], given["recipe"]
    base = load_recipe(recipe, task.kind) if recipe else task.recipe(data or "scenes")
    changes = {key: given[name] for name, key in _KEYS.items()}
    changes |= {"model.where": where_of(given["where"]), **more, **pairs_of(given["change"] or [])}
    base = base.changed(**{key: value for key, value in changes.items() if value is not None})
    study = task.study(
        base,
        attentions=words(given["attentions"]),
        seeds=seeds_of(given["seeds"]),
        options=options_of(given["option"] or []),
        variants=variants_of(given["variant"] or []),
    )
    usual = f"{task.name}-{slug(base.data.source)}-{slug(base.model.name)}"
    folder = given["out"] or Path("runs") / usual
    finished = task.run(
        study,
        folder,
        resume=given["resume"],
        remeasure=given["remeasure"],
        progress=not given["quiet"],
    )
    if given["images"]:
        task.draw(finished, given["images"])
    show(write_report(folder))

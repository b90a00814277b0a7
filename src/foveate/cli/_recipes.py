"""From what a user writes after ``train`` to the recipe of a run and its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveate.training.recipe import RecipeOf


def chosen_recipe(
    recipe: Path,
    kind: type[RecipeOf],
    out: Path | None,
    seed: int | None,
    change: list[str],
    place: Callable[[str], str] | None = None,
    options: dict[str, Any] | None = None,
) -> tuple[RecipeOf, Path]:
    """Return the recipe with all changes, and the run folder.

    Args:
        recipe: A recipe, or a run folder to continue.
        kind: The recipes of the task.
        out: The run folder to make, None for ``runs/NAME-seedK``.
        seed: Another seed.
        change: ``KEY=VALUE`` each.
        place: Gives another source for that of the recipe.
        options: Options of the data in place of the recipe's, unless ``change`` gives others.

    Raises:
        ValueError: If a run folder is given and ``out`` too, or the recipe is wrong.
        FileNotFoundError: If there is none.
    """
    from foveate.core import expected
    from foveate.training.recipe import load_recipe

    changes: dict[str, Any] = {} if options is None else {"data.options": options}
    changes |= pairs_of(change)
    if seed is not None:
        changes["seed"] = seed
    source = recipe
    if recipe.is_dir():
        if out is not None:
            raise ValueError(expected("train", "either a run folder or --out", f"{recipe}, {out}"))
        out, source = recipe, recipe / "config.toml"
    plan = load_recipe(source, kind)
    if place is not None:
        changes.setdefault("data.source", place(plan.data.source))
    plan = plan.changed(**changes)
    return plan, out or Path("runs") / f"{plan.name or recipe.stem}-seed{plan.seed}"


def options_for(data: str | Path | None) -> dict[str, Any] | None:
    """The options of a recipe for other data: none, for its own are of the scenes that it makes.

    None leaves them as they are; ``--set`` may give others.
    """
    return None if data is None or str(data) == "scenes" else {}


def pairs_of(texts: list[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` each as one dictionary.

    Raises:
        ValueError: If one has no "=".
    """
    return dict(_pair(text) for text in texts)


def _pair(text: str) -> tuple[str, Any]:
    """Split KEY=VALUE; the value is TOML, or a plain string where it is none."""
    from foveate.core import expected
    from foveate.training.toml import parse_value

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        remedy = "for example --set train.epochs=3"
        raise ValueError(expected("--set", "KEY=VALUE", text, remedy))
    return key.strip(), parse_value(value.strip())

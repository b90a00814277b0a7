"""What the commands on detectors share: what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from foveate.cli._looking import unreadable_lines

_SCORES = ("ap", "ap50", "ap75", "aps", "apm", "apl")


def summary(result: Mapping[str, Any]) -> str:
    """Put the result of a detector's run, or of an evaluation, into a few lines."""
    lines = [
        ", ".join(f"{_title(name)} {_percent(result[name])}" for name in _SCORES)
        + f" on {result['images']} images with {result['objects']} objects"
    ]
    return "\n".join([*lines, *unreadable_lines(result["unreadable"])])


def class_table(result: Mapping[str, Any]) -> str:
    """One line for each class."""
    width = max(len(one["name"]) for one in result["per_class"])
    return "\n".join(
        f"  {one['name']:<{width}}  AP {_percent(one['ap']):>6}  AP50 {_percent(one['ap50']):>6}"
        f"  of {one['objects']} objects"
        for one in result["per_class"]
    )


def tell_problems(problems: Mapping[str, Mapping[str, Any]]) -> None:
    """Tell what is wrong in the annotations of each split, on stderr."""
    from foveate.detection.data import problem_lines

    for split, found in problems.items():
        for text in problem_lines(found):
            typer.echo(f"{split}: {text}", err=True)


def _title(name: str) -> str:
    return name.replace("ap", "AP")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"

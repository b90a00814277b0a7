"""What only detectors have, as Markdown: for the page of a kept study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foveate.report.detected_plots import IN_WORDS
from foveate.report.markdown import bullets, folded, picture, table

_MANY = 20


def detected_parts(found: Mapping[str, Any]) -> list[str]:
    """The paragraphs of what ``detected_of`` found, with the tables of the further scores.

    Args:
        found: ``detected`` of a kept study.
    """
    further, gaps, classes = found["further"], found["gaps"], found["classes"]
    parts = ["## By overlap and size", table(further["columns"], further["rows"])]
    if gaps["rows"]:
        said = "Difference to none, in points, paired by seed, with 95 % intervals and no tests:"
        parts += [said, table(gaps["columns"], gaps["rows"])]
    if found.get("plot"):
        parts += ["## Precision over recall", picture(IN_WORDS, found["plot"])]
    shown = table(classes["columns"], classes["rows"])
    parts += ["## By class", "AP %, mean over seeds, with 95 % intervals:"]
    count = len(classes["rows"])
    parts += [folded(f"All {count} classes", [shown]) if count > _MANY else shown]
    if found["pictures"]:
        parts += ["## What the detectors find"]
        parts += ["The first images that they were measured on, not chosen by hand."]
        parts += [picture(one["alt"], one["file"]) for one in found["pictures"]]
    for split, lines in found["problems"].items():
        parts += [f"## Annotations of {split}", bullets(lines)]
    return parts

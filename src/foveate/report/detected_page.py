"""What only tasks beyond classification have, as Markdown: for the page of a kept study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foveate.report.detected_plots import IN_WORDS
from foveate.report.markdown import bullets, folded, picture, table
from foveate.report.metric import Metric

_MANY = 20


def detected_parts(found: Mapping[str, Any], metric: Metric) -> list[str]:
    """The paragraphs of what ``detected_of`` found, with the tables of the further scores.

    Args:
        found: ``detected`` of a kept study.
        metric: What the study compares.
    """
    further, gaps, classes = found["further"], found["gaps"], found["classes"]
    parts = [f"## {metric.further_title}", table(further["columns"], further["rows"])]
    if gaps["rows"]:
        said = f"Difference to none, in {metric.gaps}, paired by seed, with 95 % intervals and no"
        said = f"{said} tests:"
        parts += [said, table(gaps["columns"], gaps["rows"])]
    if found.get("plot"):
        parts += ["## Precision over recall", picture(IN_WORDS, found["plot"])]
    if classes["rows"]:
        shown, count = table(classes["columns"], classes["rows"]), len(classes["rows"])
        title = metric.by_class[0][1]
        parts += ["## By class", f"{title}, mean over seeds, with 95 % intervals:"]
        parts += [folded(f"All {count} classes", [shown]) if count > _MANY else shown]
    if found["pictures"]:
        parts += [f"## {metric.seen}"]
        parts += [f"The first {metric.item}s that they were measured on, not chosen by hand."]
        parts += [picture(one["alt"], one["file"]) for one in found["pictures"]]
    for split, lines in found["problems"].items():
        parts += [f"## Annotations of {split}", bullets(lines)]
    return parts

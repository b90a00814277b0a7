"""A kept look at some networks as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from foveate.report import explained_table as tables
from foveate.report import explained_wording as wording
from foveate.report.explained import Explained
from foveate.report.markdown import MARK, bullets, folded, table
from foveate.report.markdown import picture as picture_of
from foveate.report.wording import told

PLOT_IN_WORDS = "sfd of every network by layer, with its 95 % interval, chance level and every seed"


def explained_page(kept: Mapping[str, Any], picture: str, files: Sequence[tuple[str, str]]) -> str:
    """The page of one look.

    Args:
        kept: What :func:`foveate.report.explained_kept.keep_explained` returned, or its JSON file.
        picture: Where the plot is, seen from the page.
        files: Titles and places of further files.

    Returns:
        Markdown.
    """
    record = Explained(kept)
    parts = [MARK, f"# {record.title}", kept["headline"], *wording.remarks(record)]
    parts += [f"![{PLOT_IN_WORDS}]({picture})"]
    if record.names:
        parts += ["## Scores", *_shown(tables.scores_table(record))]
        parts += _shown(tables.gaps_table(record)) if record.others else []
        parts += [bullets([f"{title}: {text}" for title, text in wording.legend(record)])]
        parts += ["## What sfd is", bullets(wording.SFD_IS)]
    if record.names and record.most_seeds > 1:
        parts += ["## Over seeds", *_shown(tables.seeds_table(record))]
        parts += _shown(tables.seed_gaps_table(record)) if record.others else []
    if wording.sensitivity(record):
        parts += ["## How much hangs on the settings", bullets(wording.sensitivity(record))]
        layers = dict.fromkeys(setting.layer for setting in record.varied)
        shown = [text for layer in layers for text in _shown(tables.settings_table(record, layer))]
        parts += [folded("The numbers", shown)]
    parts += ["## What was looked at", *_shown(tables.counts_table(record))]
    left = [f"`{one['image']}`: {one['reason']}" for one in kept.get("left_out") or ()]
    parts += ["Could not be read:", bullets(left)] if left else ["Every image could be read."]
    health = tables.health_table(record)
    parts += ["## Gates", *_shown(health)] if health else []
    for one in kept.get("pictures") or ():
        alt, caption = (str(one.get(key) or "") for key in ("alt", "caption"))
        parts += [picture_of(alt, one["file"]), escape(caption)]
    note = [kept["note"]] if kept.get("note") else []
    parts += ["## Limits", bullets([*wording.limits(record), *(kept.get("notes") or ()), *note])]
    made: Mapping[str, Any] = kept.get("conditions") or {}
    parts += ["## Conditions", f"```\n{told(made.get('command'))}\n```"]
    rows = [[key, value] for key, value in wording.conditions(record) if key != "command"]
    parts += [table(["what", "value"], rows)]
    parts += ["Files: " + ", ".join(f"[{title}]({place})" for title, place in files) + "."]
    return "\n\n".join(part for part in parts if part) + "\n"


def _shown(one: tables.Table) -> list[str]:
    return [one.caption, table(one.heads, one.rows)]

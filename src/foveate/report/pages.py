"""A kept study as a Markdown page, and the index of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foveate.report.detected_page import detected_parts
from foveate.report.explained import KIND, Explained
from foveate.report.markdown import MARK, table
from foveate.report.metric import Metric, metric_of
from foveate.report.pictures import described, scores_by_seed
from foveate.report.wording import told


def markdown_page(kept: Mapping[str, Any], picture: str, files: Sequence[tuple[str, str]]) -> str:
    """The page of one study.

    Args:
        kept: What :func:`foveate.report.kept.keep` returned, or the JSON file of it; keys that an
            older file lacks are left out of the page.
        picture: Where the plot is, seen from the page.
        files: Titles and places of further files.

    Returns:
        Markdown.
    """
    parts = [MARK, f"# {kept.get('title') or '{model} on {data}'.format_map(kept)}"]
    starts, metric = kept.get("starts"), metric_of(kept)
    if starts:
        parts += [starts["headline"]] if starts["headline"] else []
        parts += [
            f"![{described(kept)}]({picture})",
            *_starts(starts, metric),
            "## After fine-tuning",
        ]
        parts += [kept["headline"]]
    else:
        parts += [kept["headline"], f"![{described(kept)}]({picture})"]
    parts.append(table(kept["columns"], kept["rows"]))
    if kept.get("legend"):
        parts.append("\n".join(f"- {line}" for line in kept["legend"]))
    parts += detected_parts(kept["detected"], metric) if kept.get("detected") else []
    parts += _against(kept.get("against"), metric)
    limits = [*kept.get("limits", []), *([kept["note"]] if kept.get("note") else [])]
    if limits:
        parts += ["## Limits", "\n".join(f"- {line}" for line in limits)]
    parts += ["## Conditions", kept["conditions"], f"```\n{kept['command']}\n```"]
    parts.append(table(["what", "value"], _conditions(kept)))
    if kept.get("study"):
        parts.append(
            f"<details><summary>The study with its recipe</summary>\n\n```toml\n"
            f"{kept['study'].strip()}\n```\n</details>"
        )
    parts.append("Files: " + ", ".join(f"[{title}]({place})" for title, place in files) + ".")
    return "\n\n".join(parts) + "\n"


def markdown_index(studies: Mapping[str, Mapping[str, Any]]) -> str:
    """The list of all kept studies by name, each with its headline.

    Args:
        studies: What was kept, by the name of its page.
    """
    rows = [[f"[{name}]({name}.md)", *_entry(kept)] for name, kept in sorted(studies.items())]
    parts = [
        MARK,
        "# Results",
        "Every study has a page with its table, plot, tests, conditions and, in newer ones, limits,"
        " a JSON file with the numbers behind them, and, where they were kept, a CSV file with"
        " every epoch of every run. All are made by `python docs/build.py --add STUDY NAME` from a"
        " finished study folder, or by `--add-explain FOLDER NAME` from a folder of `foveate"
        " explain`. What has no page here was not run.",
        table(["page", "study", "seeds", "outcome"], rows),
    ]
    return "\n\n".join(parts) + "\n"


def _entry(kept: Mapping[str, Any]) -> list[str]:
    """Title, number of seeds and outcome of a study in the index."""
    if kept.get("kind") == KIND:
        record = Explained(kept)
        return [record.title, str(record.most_seeds), kept["headline"]]
    return [
        str(kept.get("title") or "{model} on {data}".format_map(kept)),
        str(len(next(iter(scores_by_seed(kept).values())))),
        (kept.get("starts") or {}).get("headline") or kept["headline"],
    ]


def _starts(starts: Mapping[str, Any], metric: Metric) -> list[str]:
    said = f"Validation {metric.title} {metric.unit.name} with 95 % intervals:"
    parts = [said, table(starts["columns"], starts["rows"])]
    if starts["gaps"]:
        count = len(starts["gaps"]) * len(starts["epochs"])
        parts += [
            f"Difference to the base network before fine-tuning, in {metric.unit.gaps}, paired by"
            f" seed; p-values two-sided, corrected by Holm's method over the {count} cells:",
            table(starts["columns"], starts["gaps"]),
        ]
    return parts


def _against(against: Mapping[str, Any] | None, metric: Metric) -> list[str]:
    if not against:
        return []
    label, rows = against["label"], against["rows"]
    return [
        f"## Against {label}",
        f"{label} is the gate as published. Differences to it are paired by seed; p-values are"
        f" two-sided, corrected by Holm's method over the rows of this table.",
        table(["", f"to {label}, {metric.unit.gaps}", "p (Holm)"], rows),
    ]


def _conditions(kept: Mapping[str, Any]) -> list[list[str]]:
    timed = kept.get("cost_conditions", {})
    shown = {
        "seeds": kept.get("seeds") or list(next(iter(scores_by_seed(kept).values()))),
        "commit": kept.get("commits") or kept.get("commit"),
        "machine": kept.get("machine"),
        "versions": kept.get("versions"),
        **{f"costs: {key}": value for key, value in timed.items()},
    }
    return [[key, told(value)] for key, value in shown.items()]

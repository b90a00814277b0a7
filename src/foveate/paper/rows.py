"""Rows of classification tables: costs counted here and accuracies run here, beside the paper's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foveate.accounting import Cost
from foveate.paper.accuracy import Accuracy, Run, accuracy_of, find_studies, left_out
from foveate.paper.counting import Tell, count_model
from foveate.paper.published import Figures, Group, PublishedRow
from foveate.paper.table import NOT_RUN, Cells, Footnotes, Section
from foveate.report import Estimate, StudyRecord, rows_of
from foveate.report.table import columns, points

OURS = "-"
COUNTED = ("as\nprinted\nM", "as\nprinted\nG", "in full\nM", "in full\nG")
"""Heads of what is counted: in the convention of the printed figures, and in full."""


@dataclass(frozen=True)
class Line:
    """A published row with what is known of it here.

    Attributes:
        group: Heading it stands under.
        row: What was published.
        cost: Its cost, counted.
        accuracy: Its accuracy, None if it was not run.
    """

    group: str
    row: PublishedRow
    cost: Cost
    accuracy: Accuracy | None

    @property
    def name(self) -> str:
        """What it is called outside its group."""
        return f"{self.group} {self.row.label}"

    def record(self) -> dict[str, Any]:
        """The line as data."""
        row = self.row
        return {
            "group": self.group,
            "label": row.label,
            "network": row.model.name,
            "attention": row.model.attention,
            "options": row.model.options,
            "ours": row.ours,
            "paper": {key: figure.record() for key, figure in row.paper.items()},
            "elsewhere": [
                {key: figure.record() for key, figure in one.items()} for one in row.elsewhere
            ],
            "counted": cost_record(self.cost),
            "accuracy": self.accuracy.record() if self.accuracy else NOT_RUN,
        }


def cost_record(cost: Cost) -> dict[str, int]:
    """A cost as data, in both conventions."""
    return {
        "params": cost.params,
        "macs": cost.macs,
        "params_published": cost.params_published,
        "macs_published": cost.macs_published,
    }


def lines_of(groups: list[Group], runs: list[Run], tell: Tell) -> list[Line]:
    """Count every row of the groups and look up its accuracy."""
    pairs = [(group, row) for group in groups for row in group.rows]
    lines = []
    for number, (group, row) in enumerate(pairs):
        tell(f"counting {group.name} {row.label}", number / len(pairs))
        accuracy = accuracy_of(row, group.experiment, runs)
        lines.append(Line(group.name, row, count_model(row.model), accuracy))
    return lines


def by_group(lines: list[Line]) -> Iterator[tuple[str, list[Line]]]:
    """The lines under each heading."""
    for name in dict.fromkeys(line.group for line in lines):
        yield name, [line for line in lines if line.group == name]


def reports(row: PublishedRow) -> list[Figures]:
    """What was printed of a row: by the paper, and where it is silent, by others."""
    return [*([row.paper] if row.paper or not row.elsewhere else []), *row.elsewhere]


def cost_section(lines: list[Line], notes: Footnotes) -> Section:
    """What was printed of the costs, and what was counted here."""
    rows: list[Cells] = []
    for name, members in by_group(lines):
        rows.append((name,))
        for line in members:
            counted = (*counted_cells(line.cost, published=True), *counted_cells(line.cost))
            for number, one in enumerate(reports(line.row)):
                shown = [
                    OURS if line.row.ours else notes.cell(one.get(key))
                    for key in ("params", "macs")
                ]
                rows.append((line.row.label, *shown, *counted) if not number else ("", *shown))
    heads = ("network", "printed\nM", "printed\nG", *COUNTED)
    return Section("Parameters (M) and MACs (G): printed, and counted here", heads, rows)


def counted_cells(cost: Cost, published: bool = False) -> Cells:
    """Parameters in M and MACs in G of one convention."""
    params, macs = cost.params, cost.macs
    if published:
        params, macs = cost.params_published, cost.macs_published
    return f"{params / 1e6:.{2 if params >= 1e7 else 3}f}", f"{macs / 1e9:.3f}"


def accuracy_section(lines: list[Line], notes: Footnotes, top5: bool = True) -> Section:
    """What was printed of the accuracies, and what was run here."""
    keys = ("top1", "top5") if top5 else ("top1",)
    rows: list[Cells] = []
    for name, members in by_group(lines):
        rows.append((name,))
        for line in members:
            for number, one in enumerate(reports(line.row)):
                shown = [OURS if line.row.ours else notes.cell(one.get(key)) for key in keys]
                ours = accuracy_cells(line.accuracy, top5)
                rows.append((line.row.label, *shown, *ours) if not number else ("", *shown))
    heads = tuple(f"printed\n{key.replace('top', 'top-')}" for key in keys)
    heads += tuple(f"here\n{key.replace('top', 'top-')}" for key in keys)
    return Section("Accuracy, %", ("network", *heads, "seeds"), rows)


def accuracy_cells(accuracy: Accuracy | None, top5: bool = True) -> Cells:
    """Our top-1, top-5 and the number of seeds."""
    if accuracy is None:
        return (NOT_RUN, *([""] if top5 else []), "")
    fifth = [with_interval(accuracy.top5)] if top5 else []
    return (with_interval(accuracy.top1), *fifth, str(len(accuracy.runs)))


def with_interval(value: Estimate, sign: bool = False) -> str:
    """A mean in percent with half of its 95 % interval, if there is one."""
    mean = points(value.mean, sign)
    half = value.half_width
    return mean if half is None else f"{mean} \N{PLUS-MINUS SIGN} {points(half)}"


def run_notes(
    accuracies: dict[str, Accuracy | None], groups: list[Group], runs: list[Run]
) -> list[str]:
    """Which folders the accuracies are from, and which runs are not comparable and why.

    Args:
        accuracies: Accuracies by the names of their rows.
        groups: What was published.
        runs: Every run that was found.
    """
    notes = [
        f"Runs of {name}: {', '.join(str(run.path) for run in one.runs.values())}"
        for name, one in accuracies.items()
        if one
    ]
    notes += [
        f"Another run of seed {run.seed}, not counted: {run.path}"
        for one in accuracies.values()
        for run in (one.repeated if one else ())
    ]
    reduced = {run.path: reasons for group in groups for run, reasons in left_out(group, runs)}
    notes += [
        f"Reduced or changed run, not comparable: {path}: {', '.join(reasons)}"
        for path, reasons in reduced.items()
    ]
    if not any(accuracies.values()):
        notes.append("No run that could stand beside a published accuracy was found: not run.")
    return notes


def study_sections(folder: Path | None, ablation: str) -> list[Section]:
    """Our own studies of the same question on other data, which no figure is comparable with."""
    found = []
    for study in find_studies(folder, ablation):
        recipe = study.study["recipe"]
        data, model, train = recipe["data"], recipe["model"], recipe["train"]
        width = model.get("width", 1.0)
        network = model["name"] + (f" at {width:g} of its width" if width != 1 else "")
        title = (
            f"Our {ablation} on {data['source'].partition(':')[0]}, {data['size']} pixels,"
            f" {network}, {train['epochs']} epochs, not comparable with the paper: {study.path}"
        )
        found.append(study_section(study, title))
    return found


def study_section(study: StudyRecord, title: str, which: str = "accuracy") -> Section:
    """One of our own studies as a section: a table of :func:`foveate.report.table.columns`."""
    shown = columns(which, study.metric)
    rows = [tuple(column.text(row) for column in shown) for row in rows_of(study)]
    words = tuple(number for number, column in enumerate(shown) if column.words)
    return Section(title, tuple(column.title for column in shown), rows, words)

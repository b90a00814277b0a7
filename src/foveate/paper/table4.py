"""Tables 4 and 5: the designs and the norms, on the paper's data and in our own ablations."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from foveate.paper.ablation import NORMS
from foveate.paper.accuracy import find_runs
from foveate.paper.counting import Tell, quietly
from foveate.paper.published import Group, PublishedRow, published_table
from foveate.paper.rows import (
    accuracy_section,
    cost_section,
    lines_of,
    run_notes,
    study_sections,
)
from foveate.paper.selection import chosen_groups
from foveate.paper.table import Footnotes, PaperTable
from foveate.training import ModelSection

BEST = ("instance", "layer")
OWN = {"table4": "ablation-design", "table5": "ablation-norm"}
"""The ablation of ours that asks what a table asks."""


def table4(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 4 beside ours, and our own ablations of the designs.

    Args:
        runs: A folder with finished runs and studies, None for none.
        only: ``"resnet18"``, which is all there is.
        tell: Told what is being counted, and the share that is done.
    """
    return _ablation("table4", runs, chosen_groups(published_table("table4"), only), tell)


def table5(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 5 beside ours, and our own ablations of the norms.

    Args:
        runs: A folder with finished runs and studies, None for none.
        only: ``"resnet18"``, which is all there is.
        tell: Told what is being counted, and the share that is done.
    """
    groups = [norm_grid(group) for group in chosen_groups(published_table("table5"), only)]
    return _ablation("table5", runs, groups, tell)


def norm_grid(group: Group) -> Group:
    """A group whose rows are every norm before with every norm after the convolution."""
    (row,) = group.rows
    return Group(
        group.name, tuple(_normed(row, *pair) for pair in product(NORMS, NORMS)), group.experiment
    )


def _normed(row: PublishedRow, before: str, after: str) -> PublishedRow:
    options = {"norm_before": before, "norm_after": after}
    return PublishedRow(
        label=f"{before} - {after}",
        model=ModelSection.model_validate({**row.model.model_dump(), "options": options}),
        paper=row.paper if (before, after) == BEST else {},
        elsewhere=(),
        ours=False,
    )


def _ablation(name: str, runs: Path | None, groups: list[Group], tell: Tell) -> PaperTable:
    table = published_table(name)
    found = find_runs(runs)
    lines = lines_of(table, groups, found, tell)
    marks = Footnotes()
    sections = (
        accuracy_section(lines, marks, top5=False),
        cost_section(lines, marks),
        *study_sections(runs, OWN[name], "ablation"),
    )
    own = {line.name: line.accuracy for line in lines}
    return PaperTable(
        name=name,
        title=table.title,
        sections=sections,
        notes=(*table.notes, *run_notes(own, groups, found), *marks.lines()),
        records=tuple(line.record() for line in lines),
    )

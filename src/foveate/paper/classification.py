"""Tables 1, 4 and 5: classifiers, each built and counted, with the accuracies of finished runs."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from foveate.paper.ablation import NORMS
from foveate.paper.accuracy import find_runs
from foveate.paper.claims import claim_sections
from foveate.paper.counting import Tell, quietly
from foveate.paper.published import Group, PublishedRow, published_table
from foveate.paper.rows import (
    accuracy_section,
    cost_record,
    cost_section,
    lines_of,
    run_notes,
    study_sections,
)
from foveate.paper.selection import chosen_groups
from foveate.paper.table import Footnotes, PaperTable
from foveate.training import ModelSection

BEST = ("instance", "layer")
"""The norms before and after the deformable convolution that win in the paper."""


def table1(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 1, ImageNet-1k, beside ours.

    Args:
        runs: A folder with finished runs, None for none.
        only: Groups of rows such as ``"resnet18"``; all if there are none.
        tell: Told what is being counted, and the share that is done.
    """
    return _classifiers("table1", chosen_groups(published_table("table1"), only), runs, tell)


def table4(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 4, the designs, beside ours, and our own ablations of them.

    Args:
        runs: A folder with finished runs and studies, None for none.
        only: ``"resnet18"``, which is all there is.
        tell: Told what is being counted, and the share that is done.
    """
    groups = chosen_groups(published_table("table4"), only)
    return _classifiers("table4", groups, runs, tell, "ablation-design")


def table5(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 5, the norms, beside ours, and our own ablations of them.

    Args:
        runs: A folder with finished runs and studies, None for none.
        only: ``"resnet18"``, which is all there is.
        tell: Told what is being counted, and the share that is done.
    """
    groups = [norm_grid(group) for group in chosen_groups(published_table("table5"), only)]
    return _classifiers("table5", groups, runs, tell, "ablation-norm")


def norm_grid(group: Group) -> Group:
    """A group whose rows are every norm before with every norm after the convolution.

    Args:
        group: One row, whose figures are those of the best pair.
    """
    (row,) = group.rows
    rows = tuple(_normed(row, before, after) for before, after in product(NORMS, NORMS))
    return Group(group.name, rows, group.experiment)


def _normed(row: PublishedRow, before: str, after: str) -> PublishedRow:
    options = {"norm_before": before, "norm_after": after}
    return PublishedRow(
        label=f"{before} - {after}",
        model=ModelSection.model_validate({**row.model.model_dump(), "options": options}),
        paper=row.paper if (before, after) == BEST else {},
        elsewhere=(),
        ours=False,
    )


def _classifiers(
    name: str, groups: list[Group], runs: Path | None, tell: Tell, ablation: str = ""
) -> PaperTable:
    """A table of classifiers; ``ablation`` is the one of ours that asks the same."""
    table = published_table(name)
    found = find_runs(runs)
    lines = lines_of(groups, found, tell)
    marks = Footnotes()
    accuracies = {line.name: line.accuracy for line in lines}
    return PaperTable(
        name=name,
        title=table.title,
        sections=(
            cost_section(lines, marks),
            accuracy_section(lines, marks, top5=not ablation),
            *claim_sections(name, {line.name: cost_record(line.cost) for line in lines}),
            *(study_sections(runs, ablation) if ablation else ()),
        ),
        notes=(*table.notes, *run_notes(accuracies, groups, found), *marks.lines()),
        records=tuple(line.record() for line in lines),
    )

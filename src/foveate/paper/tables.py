"""Every table by its name, and the page that shows them all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from foveate.core import expected, suggest
from foveate.paper.changes import table3
from foveate.paper.classification import table1, table4, table5
from foveate.paper.counting import Tell, quietly
from foveate.paper.detection import table2
from foveate.paper.figure3 import figure3
from foveate.paper.sfd import sfd
from foveate.paper.table import PaperTable, markdown

TABLES: dict[str, Callable[..., PaperTable]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "figure3": figure3,
    "sfd": sfd,
}

_HEAD = """# The paper's tables beside ours

*DAS: A Deformable Attention to Capture Salient Information in CNNs*, Salajegheh, Asadi, Saryazdi
and Mudur, arXiv:2311.12091. This page is what `foveate paper table1` and so on print where there
are no runs: what stands under "here" was counted on the networks as they are built, and what was
not run says so. `foveate paper table1 --runs FOLDER` adds the accuracies of your own runs.

Costs stand in two conventions. "As printed" leaves the kernel of a deformable convolution out,
parameters and operations alike, as the counter did that explains the published figures. "In full"
counts everything, and is the cost. Comparisons hold only within one of the two.

The paper's full text was not at hand: figures marked [S] are from a summary of it, others say where
they are from, and what is unknown is in none of these. The recipes of these experiments lie in
`recipes/`."""


def paper_table(
    name: str, runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """A table of the paper beside ours.

    Args:
        name: A key of ``TABLES``.
        runs: A folder with finished runs and studies, None for none.
        only: Groups of rows such as ``"resnet18"``; all if there are none.
        tell: Told what is being counted, and the share that is done.

    Raises:
        ValueError: If there is no table or no group of that name; near names are listed.
        FileNotFoundError: If there is no folder ``runs``.

    Example:
        >>> paper_table("sfd").title.split(":")[0]
        'sfd'
    """
    if name not in TABLES:
        raise ValueError(expected("paper", "a table", name, suggest(name, TABLES)))
    return TABLES[name](runs, only, tell)


def page(tell: Tell = quietly) -> str:
    """All tables as one Markdown page, without any run."""
    parts = [markdown(paper_table(name, tell=tell)) for name in TABLES]
    return "\n\n".join([_HEAD, *parts]) + "\n"

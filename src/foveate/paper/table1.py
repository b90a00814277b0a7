"""Table 1: ImageNet-1k, every network built and counted, and what the text says of the costs."""

from __future__ import annotations

from pathlib import Path

from foveate.paper.accuracy import find_runs
from foveate.paper.counting import Tell, quietly
from foveate.paper.published import published_table
from foveate.paper.rows import Line, accuracy_section, cost_section, lines_of, run_notes
from foveate.paper.selection import chosen_groups
from foveate.paper.table import Cells, Footnotes, PaperTable, Section


def table1(
    runs: Path | None = None, only: tuple[str, ...] = (), tell: Tell = quietly
) -> PaperTable:
    """Table 1 beside ours.

    Args:
        runs: A folder with finished runs, None for none.
        only: Groups of rows such as ``"resnet18"``; all if there are none.
        tell: Told what is being counted, and the share that is done.
    """
    table = published_table("table1")
    groups = chosen_groups(table, only)
    found = find_runs(runs)
    lines = lines_of(table, groups, found, tell)
    marks = Footnotes()
    sections = [cost_section(lines, marks), accuracy_section(lines, marks)]
    claims = claim_rows({line.name: line for line in lines})
    if claims:
        heads = ("the text says [S]", "here, as printed", "here, in full")
        sections.append(Section("What the text says of the costs", heads, claims))
    return PaperTable(
        name=table.name,
        title=table.title,
        sections=tuple(sections),
        notes=(
            *table.notes,
            *run_notes({line.name: line.accuracy for line in lines}, groups, found),
            *marks.lines(),
        ),
        records=tuple(line.record() for line in lines),
    )


def claim_rows(lines: dict[str, Line]) -> list[Cells]:
    """Every statement of the text that the counted networks can be held to, in both conventions."""
    rows: list[Cells] = []
    for words, left, right, key, form in (
        ("DAS-50 has 1.39 M fewer parameters than GSoP-Net1", *_GSOP, "params", "difference"),
        ("DAS-50 has 32 % fewer MACs than GSoP-Net1", *_GSOP, "macs", "saving"),
        ("DAS-50 has about 60 % of ResNet-101's parameters", *_DEEPER, "params", "share"),
        ("DAS-50 has about 60 % of ResNet-101's MACs", *_DEEPER, "macs", "share"),
        ("DAS-18 has 2.26 G fewer MACs than ResNet-50", *_SHALLOWER, "macs", "difference"),
        ("DAS-101 has fewer parameters than SENet-101", *_SENET, "params", "difference"),
        ("DAS-101 has fewer parameters than CBAM-101", *_CBAM, "params", "difference"),
    ):
        if left in lines and right in lines:
            cells = [
                _said(lines[left], lines[right], f"{key}{suffix}", form)
                for suffix in ("_published", "")
            ]
            rows.append((words, *cells))
    return rows


_GSOP = ("ResNet-50 DAS", "ResNet-50 GSoP-Net1")
_DEEPER = ("ResNet-50 DAS", "ResNet-101 plain")
_SHALLOWER = ("ResNet-18 DAS", "ResNet-50 plain")
_SENET = ("ResNet-101 DAS", "ResNet-101 SENet")
_CBAM = ("ResNet-101 DAS", "ResNet-101 CBAM")


def _said(left: Line, right: Line, key: str, form: str) -> str:
    """A comparison of two costs in words."""
    ours, theirs = getattr(left.cost, key), getattr(right.cost, key)
    if form == "share":
        return f"{100 * ours / theirs:.1f} %"
    word = "fewer" if ours < theirs else "more"
    if form == "saving":
        return f"{100 * abs(ours - theirs) / theirs:.1f} % {word}"
    unit, scale = ("M", 1e6) if key.startswith("params") else ("G", 1e9)
    return f"{abs(ours - theirs) / scale:.2f} {unit} {word}"

"""What the paper's text says of costs, held to the networks as they are counted here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from foveate.paper.table import Cells, Section


class Claim(NamedTuple):
    """A statement that compares two rows.

    Attributes:
        words: What the text says.
        left: The row it is about.
        right: The row that is compared with.
        key: ``"params"`` or ``"macs"``.
        form: ``"difference"``, ``"saving"`` (a difference in percent) or ``"share"``.
    """

    words: str
    left: str
    right: str
    key: str
    form: str = "difference"


_50, _101 = "ResNet-50", "ResNet-101"
CLAIMS = {
    "table1": (
        Claim(
            "DAS-50 has 1.39 M fewer parameters than GSoP-Net1",
            *(f"{_50} DAS", f"{_50} GSoP-Net1", "params"),
        ),
        Claim(
            "DAS-50 has 32 % fewer MACs than GSoP-Net1",
            *(f"{_50} DAS", f"{_50} GSoP-Net1", "macs", "saving"),
        ),
        Claim(
            "DAS-50 has about 60 % of ResNet-101's parameters",
            *(f"{_50} DAS", f"{_101} plain", "params", "share"),
        ),
        Claim(
            "DAS-50 has about 60 % of ResNet-101's MACs",
            *(f"{_50} DAS", f"{_101} plain", "macs", "share"),
        ),
        Claim(
            "DAS-18 has 2.26 G fewer MACs than ResNet-50",
            *("ResNet-18 DAS", f"{_50} plain", "macs"),
        ),
        Claim(
            "DAS-101 has fewer parameters than SENet-101",
            *(f"{_101} DAS", f"{_101} SENet", "params"),
        ),
        Claim(
            "DAS-101 has fewer parameters than CBAM-101",
            *(f"{_101} DAS", f"{_101} CBAM", "params"),
        ),
    ),
    "table2": tuple(
        Claim(f"DAS-50 has fewer parameters than {other}", "DAS-50", other, "params")
        for other in (_101, "SENet-50", "CBAM-50")
    ),
    "table4": (
        Claim("b has fewer parameters than a", "ResNet-18 b", "ResNet-18 a", "params"),
        Claim("b has fewer MACs than a", "ResNet-18 b", "ResNet-18 a", "macs"),
        Claim("e has more parameters than c", "ResNet-18 e", "ResNet-18 c", "params"),
        Claim("e has more MACs than c", "ResNet-18 e", "ResNet-18 c", "macs"),
    ),
}


def claim_sections(table: str, counted: Mapping[str, Mapping[str, int]]) -> list[Section]:
    """What the text of a table says of the rows that were counted; none if it says nothing.

    Args:
        table: The table.
        counted: Costs of its rows by their names, up to a colon; each holds the claims' keys,
            as counted in full, and with ``_published`` as the paper prints them.
    """
    known = {name.partition(":")[0]: cost for name, cost in counted.items()}
    rows: list[Cells] = [
        (claim.words, *(_said(claim, known, suffix) for suffix in ("_published", "")))
        for claim in CLAIMS.get(table, ())
        if {claim.left, claim.right} <= known.keys()
    ]
    heads = ("the text says [S]", "as printed", "in full")
    return [Section("What the text says of costs, and what was counted", heads, rows)][: len(rows)]


def _said(claim: Claim, counted: Mapping[str, Mapping[str, int]], suffix: str) -> str:
    """The comparison in numbers."""
    key = f"{claim.key}{suffix}"
    ours, theirs = counted[claim.left][key], counted[claim.right][key]
    if claim.form == "share":
        return f"{100 * ours / theirs:.1f} %"
    word = "fewer" if ours < theirs else "more"
    if claim.form == "saving":
        return f"{100 * abs(ours - theirs) / theirs:.1f} % {word}"
    unit, scale = ("M", 1e6) if claim.key == "params" else ("G", 1e9)
    return f"{abs(ours - theirs) / scale:.2f} {unit} {word}"

"""Where an attention sits, in words: the sites of a network and which of them are meant.

``"post_norm"`` is every residual branch, ``"post_norm:last"`` that of each stage's last block,
``"blocks:second@2..3"`` every second block of the stages 2 and 3, and
``"after_conv2:last+after_conv2@-1"`` the last block of every stage and every block of the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from foveate.core import expected, suggest

SITES = {
    "stages": "the end of every stage, after the last block's addition and activation",
    "blocks": "the end of every block",
    "skips": "the end of every block whose skip is the identity",
    "strides": "the last block of each stride from 4 on",
    "post_norm": "the last norm of every residual branch, before the addition",
    "after_conv2": "the map that the last convolution of every residual branch reads",
    "replace_conv2": "the last convolution with a kernel above 1x1 of every block, in its place",
    "block_input": "the input of every block, for branch and skip alike",
}
PICKS = {
    "all": "every block",
    "first": "the first block of every stage",
    "last": "the last block of every stage",
    "second": "every second block of every stage, or its only one",
}
_WHOLE = ("stages", "strides")
_FORM = "SITE, SITE:PICK, SITE@STAGES or SITE:PICK@STAGES, joined by +"
_PART = re.compile(r"(?P<site>\w+)(:(?P<pick>\w+))?(@(?P<stages>[-\d.,]+))?")
_RANGE = re.compile(r"(-?[1-9]\d*)(?:\.\.(-?[1-9]\d*))?")


@dataclass(frozen=True)
class Where:
    """One site and which blocks of which stages are meant.

    Attributes:
        site: One of ``SITES``.
        pick: One of ``PICKS``.
        stages: Ranges of stages, both ends included, counted from 1, from the end if negative;
            none for all stages.
    """

    site: str
    pick: str = "all"
    stages: tuple[tuple[int, int], ...] = ()

    def takes(self, stage: int, stages: int, block: int, blocks: int) -> bool:
        """Whether a block is meant: number ``block`` of ``blocks`` in a stage, all from 1."""
        ranges = [[end if end > 0 else stages + 1 + end for end in ends] for ends in self.stages]
        if ranges and not any(low <= stage <= high for low, high in ranges):
            return False
        return {
            "all": True,
            "first": block == 1,
            "last": block == blocks,
            "second": block % 2 == 0 or blocks == 1,
        }[self.pick]


def is_where(text: str) -> bool:
    """Whether a text names sites, rather than modules: its first word is a site."""
    return re.split(r"[:@+]", text)[0].strip() in SITES


def parse_where(text: str) -> tuple[Where, ...]:
    """Read a description of sites.

    Args:
        text: ``SITE[:PICK][@STAGES]``, several joined by ``+``. STAGES are numbers and ranges
            ``2..3`` with commas between, counted from 1, or from the end if negative.

    Raises:
        ValueError: If it has another form, or a site or a pick is unknown.

    Example:
        >>> parse_where("blocks:second@2..-2")
        (Where(site='blocks', pick='second', stages=((2, -2),)),)
    """
    return tuple(_part(part.strip()) for part in text.split("+"))


def _part(text: str) -> Where:
    found = _PART.fullmatch(text)
    if found is None:
        raise ValueError(expected("where", _FORM, text))
    site, pick = found["site"], found["pick"] or "all"
    for what, known in ((site, SITES), (pick, PICKS)):
        if what not in known:
            raise ValueError(expected("where", _FORM, text, suggest(what, known)))
    if (site in _WHOLE and found["pick"]) or (site == "strides" and found["stages"]):
        what = "alone" if site == "strides" else "with stages (@) at most"
        raise ValueError(expected("where", f"{site!r} {what}", text))
    return Where(site, pick, _ranges(found["stages"] or ""))


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    ranges = []
    for one in text.split(",") if text else ():
        found = _RANGE.fullmatch(one)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if found is None or (low > high and low * high > 0):
            raise ValueError(expected("where", "stages such as 2, 2..3 or -1", one))
        ranges.append((low, high))
    return tuple(ranges)

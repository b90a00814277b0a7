"""What the paper printed, as far as it is known: ``published.toml``, read into typed rows."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.core import expected, suggest
from foveate.core.reading import whole
from foveate.training import ModelSection
from foveate.training.toml import read_toml

PATH = Path(__file__).with_name("published.toml")
UNKNOWN = "unknown"
TAGS = {
    "S": "stated in a summary of the paper",
    "F": "found in another public source",
    "D": "derived by arithmetic",
    "C": "computed by building the network",
}
_FIGURE = re.compile(
    r"(?P<text>.+?)(?: (?P<unit>Mi|Gi|\?))?(?: \[(?P<tag>[A-Z])(?:: (?P<source>[^\]]+))?\])?"
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(frozen=True)
class Figure:
    """A published figure and where it is from.

    Attributes:
        text: As printed: a number, a range, or words.
        tag: A key of ``TAGS``.
        source: The source of a found figure, or how one was derived.
        unit: ``"Mi"`` or ``"Gi"`` for 2^20 and 2^30, ``"?"`` if it is not told, else "".
    """

    text: str
    tag: str
    source: str = ""
    unit: str = ""

    @property
    def number(self) -> float | None:
        """Its value, None for ranges and words."""
        return float(self.text) if _NUMBER.fullmatch(self.text) else None

    def record(self) -> dict[str, Any]:
        """What a JSON file says of it; keys without a value are left out."""
        found = {
            "text": self.text,
            "value": self.number,
            "unit": self.unit,
            "tag": self.tag,
            "source": self.source,
        }
        return {key: value for key, value in found.items() if value not in (None, "")}


Figures = Mapping[str, Figure]


@dataclass(frozen=True)
class Experiment:
    """What a run must be to stand beside a published accuracy.

    Attributes:
        data: Its data source, without a folder.
        classes: How many classes the data have.
        images: How many images they are measured on.
        settings: Values of the recipe by dotted keys.
    """

    data: str
    classes: int
    images: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PublishedRow:
    """One row of a table.

    Attributes:
        label: What the paper calls it.
        model: The network as a recipe describes it.
        paper: The paper's own figures by name.
        elsewhere: What others reported for it.
        ours: Whether the row is an addition of this project, which the paper has not.
    """

    label: str
    model: ModelSection
    paper: Figures
    elsewhere: tuple[Figures, ...]
    ours: bool


@dataclass(frozen=True)
class Group:
    """Rows that belong together.

    Attributes:
        name: The heading, "" for none.
        rows: The rows.
        experiment: How their accuracies are trained, None where that is not known here.
    """

    name: str
    rows: tuple[PublishedRow, ...]
    experiment: Experiment | None


@dataclass(frozen=True)
class PublishedTable:
    """One table or figure.

    Attributes:
        name: ``"table1"`` and so on.
        title: Its title.
        notes: What must be known to read it.
        groups: Its rows.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def rows(self) -> list[PublishedRow]:
        """The rows of all groups."""
        return [row for group in self.groups for row in group.rows]


def parse_figure(text: str, source: str = "") -> Figure:
    """Read a figure such as ``"26.77 Mi [F: ECA paper]"``.

    Args:
        text: Value, unit, and where it is from.
        source: The source of figures that do not say it themselves.

    Raises:
        ValueError: If it says no known origin.

    Example:
        >>> parse_figure("26.77 Mi", "ECA paper")
        Figure(text='26.77', tag='F', source='ECA paper', unit='Mi')
    """
    match = _FIGURE.fullmatch(text)
    tag = (match["tag"] or ("F" if source else "")) if match else ""
    if match is None or tag not in TAGS:
        rule = "a figure and its origin, such as '72.03 [S]'"
        raise ValueError(expected("published", rule, text, f"origins: {', '.join(TAGS)}"))
    found = match["source"] or ("" if match["tag"] else source)
    return Figure(match["text"], tag, found, match["unit"] or "")


@functools.cache
def published() -> Mapping[str, PublishedTable]:
    """Every table by its name."""
    tree = read_toml(PATH)
    with whole(str(PATH), "the paper's tables"):
        known = _experiments(tree.pop("experiments"))
        return {
            name: PublishedTable(
                name=name,
                title=one["title"],
                notes=tuple(one["notes"]),
                groups=tuple(_group(group, known) for group in one.get("groups", ())),
            )
            for name, one in tree.items()
        }


def published_table(name: str) -> PublishedTable:
    """One table.

    Raises:
        ValueError: If there is none of that name; near names are listed.
    """
    tables = published()
    if name not in tables:
        raise ValueError(expected("published", "a table", name, suggest(name, tables)))
    return tables[name]


def experiments() -> dict[str, Experiment]:
    """Every experiment by its name."""
    return _experiments(read_toml(PATH)["experiments"])


def _experiments(tree: dict[str, dict[str, Any]]) -> dict[str, Experiment]:
    return {name: Experiment(**one) for name, one in tree.items()}


def _group(tree: dict[str, Any], known: Mapping[str, Experiment]) -> Group:
    experiment = known[tree["experiment"]] if "experiment" in tree else None
    return Group(
        name=tree["name"],
        rows=tuple(_row(row, tree.get("network"), experiment) for row in tree["rows"]),
        experiment=experiment,
    )


def _row(tree: dict[str, Any], network: str | None, experiment: Experiment | None) -> PublishedRow:
    settings = experiment.settings if experiment else {}
    model: dict[str, Any] = {
        "name": tree.get("network", network),
        "attention": tree.get("attention", "none"),
        "options": tree.get("options", {}),
        "network": tree.get("whole"),
        "stem": settings.get("model.stem", "imagenet"),
    }
    return PublishedRow(
        label=tree["label"],
        model=ModelSection.model_validate(model),
        paper={key: parse_figure(text) for key, text in tree.get("paper", {}).items()},
        elsewhere=tuple(_elsewhere(one) for one in tree.get("elsewhere", ())),
        ours=tree.get("ours", False),
    )


def _elsewhere(tree: dict[str, str]) -> Figures:
    source = tree["from"]
    return {key: parse_figure(text, source) for key, text in tree.items() if key != "from"}

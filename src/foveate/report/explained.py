"""What an explain folder says about where networks look: ``explain.json``, read and looked up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from foveate.core import Words, expected
from foveate.core.reading import TEXT_LIMIT, parse_json, read_file
from foveate.report.statistics import Comparison, Estimate, compare, estimate, holm

FILE = "explain.json"
KIND = "explanation"
"""What a kept look calls itself among the kept studies."""
SFD, SAME_B, OUTSIDE, AREA = "sfd", "sfd:same B", "sfd:outside", "area"
_BESIDE = (OUTSIDE, AREA)
_NEEDED = ("networks", "layers", "scores", "images")
# One setting of the grid of sfd is called "sfd base=10 shift=0 threshold=0.5".
_VARIED = re.compile(r"sfd base=(?P<base>\S+) shift=(?P<shift>\S+) threshold=(?P<threshold>\S+)")

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Setting:
    """One choice of everything that sfd leaves open.

    Attributes:
        layer: Of the map.
        base: Of the anti-log, as text: Euler's number is ``"e"``.
        shift: What is subtracted from the anti-log, as text.
        threshold: From where on a pixel is salient.
    """

    layer: str
    base: str
    shift: str
    threshold: float

    def __str__(self) -> str:
        return f"{self.layer}, base {self.base}, shift {self.shift}, threshold {self.threshold:g}"


@dataclass(frozen=True)
class Explained:
    """One look at some networks.

    Attributes:
        tree: The content of ``explain.json``.
        folder: Where it lies; None if only the numbers were kept.
    """

    tree: Tree
    folder: Path | None = None

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.tree.get("title") or "Where the networks look")

    @property
    def summary(self) -> Tree:
        """Means, intervals and tests."""
        found: Tree = self.tree["summary"]
        return found

    @property
    def networks(self) -> list[str]:
        """In the order of the command."""
        return list(self.summary["networks"])

    @property
    def layers(self) -> list[str]:
        """The first one is what scores are told for."""
        return list(self.summary["layers"])

    @property
    def layer(self) -> str:
        """Where the maps of the tables are taken."""
        return self.layers[0]

    @property
    def base(self) -> str | None:
        """The network that the others are compared with."""
        base = self.summary.get("base")
        return None if base is None else str(base)

    @property
    def others(self) -> list[str]:
        """What is compared with the base: nothing without one."""
        return [name for name in self.networks if self.base is not None and name != self.base]

    @property
    def images(self) -> int:
        """How many images could be read."""
        return int(self.summary["images"])

    def seeds(self, network: str) -> list[str]:
        """The seeds of a network as text; of a network without a seed there is one, and empty."""
        return [str(seed) for seed in self.summary.get("seeds", {}).get(network, [""])]

    @property
    def most_seeds(self) -> int:
        """The largest number of seeds that a network has."""
        return max(len(self.seeds(name)) for name in self.networks)

    @cached_property
    def names(self) -> list[str]:
        """Names of the scores, sfd first; what is varied or told beside them is left out."""
        there = self.summary["scores"].get(self.layer, {})
        return [name for name in there if not _VARIED.match(name) and name not in _BESIDE]

    @property
    def beside(self) -> list[str]:
        """Names of the shares that are told beside the scores."""
        return [name for name in _BESIDE if name in self.summary["scores"].get(self.layer, {})]

    def meaning(self, name: str) -> Tree:
        """What a score is: ``title``, ``higher_is_better``, ``low``, ``high``, ``chance``..."""
        found: Tree = (self.tree.get("scores") or {}).get(name) or {}
        return found

    def title_of(self, name: str) -> str:
        """A score in words."""
        if name == OUTSIDE:
            return "salient beside the object, share of the image"
        if name == AREA:
            return "the object, share of the image"
        return str(self.meaning(name).get("title") or name)

    def rises(self, name: str) -> bool:
        """Whether more of a score is better."""
        return self.meaning(name).get("higher_is_better") is not False

    def score(self, name: str, network: str, layer: str | None = None) -> Tree:
        """``mean``, ``low``, ``high``, ``count``, ``chance``, ``seeds``; empty if not scored."""
        by_score = self.summary["scores"].get(layer or self.layer, {})
        found: Tree = by_score.get(name, {}).get(network) or {}
        return found

    def gap(self, name: str, network: str) -> Tree:
        """The difference to the base: ``mean``, ``low``, ``high``, ``count``, ``p``."""
        by_score = (self.summary.get("against") or {}).get(self.layer, {})
        found: Tree = by_score.get(name, {}).get(network) or {}
        return found

    @cached_property
    def corrected(self) -> dict[tuple[str, str], float | None]:
        """p-values over images by score and network, after Holm's correction over all of them."""
        pairs = [(name, network) for name in self.names for network in self.others]
        plain = {str(turn): self.gap(*pair).get("p") for turn, pair in enumerate(pairs)}
        return dict(zip(pairs, holm(plain).values(), strict=True))

    def by_seed(self, name: str, network: str) -> dict[int, float]:
        """The mean over images of each seed that has a number and a score."""
        seeds = self.score(name, network).get("seeds") or {}
        return {int(s): v for s, v in seeds.items() if str(s).isdigit() and v is not None}

    def over_seeds(self, name: str, network: str) -> Estimate | None:
        """The mean over seeds; None if no seed has the score."""
        values = list(self.by_seed(name, network).values())
        return estimate(values) if values else None

    def seed_gap(self, name: str, network: str) -> Comparison | None:
        """The difference to the base, paired by seed; None where they share none."""
        if self.base is None:
            return None
        return compare(self.by_seed(name, network), self.by_seed(name, self.base))

    @cached_property
    def seeds_corrected(self) -> dict[tuple[str, str], float | None]:
        """p-values over seeds by score and network, after Holm's correction over all of them."""
        pairs = [(name, network) for name in self.names for network in self.others]
        gaps = [self.seed_gap(*pair) for pair in pairs]
        plain = {str(turn): gap.p if gap else None for turn, gap in enumerate(gaps)}
        return dict(zip(pairs, holm(plain).values(), strict=True))

    @cached_property
    def varied(self) -> dict[Setting, dict[str, float]]:
        """Mean sfd by setting and network, where it is defined."""
        found = {}
        for layer in self.layers:
            for name, by_network in self.summary["scores"].get(layer, {}).items():
                match = _VARIED.fullmatch(name)
                if match:
                    setting = Setting(
                        layer, match["base"], match["shift"], float(match["threshold"])
                    )
                    found[setting] = _known({n: one["mean"] for n, one in by_network.items()})
        return found

    def varied_chance(self, setting: Setting, network: str) -> float | None:
        """The chance level of a setting, if it was kept."""
        name = f"sfd base={setting.base} shift={setting.shift} threshold={setting.threshold:g}"
        found: float | None = self.score(name, network, setting.layer).get("chance")
        return found

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Networks whose order is of interest: each with the base, or, without one, all pairs."""
        if self.base is not None:
            return [(name, self.base) for name in self.others]
        return list(combinations(self.networks, 2))

    def flags(self, network: str) -> dict[str, int]:
        """Why maps have no score, and how many."""
        by_layer = (self.summary.get("flags") or {}).get(self.layer, {})
        return dict(by_layer.get(network) or {})


def read_explained(folder: str | Path) -> Explained:
    """Read an explain folder.

    Args:
        folder: What ``foveate explain`` made.

    Raises:
        FileNotFoundError: If it has no ``explain.json``: nothing was explained, or not to the end.
        ValueError: If the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        rule = f"a folder of `foveate explain` with {FILE}, which is written last"
        raise FileNotFoundError(expected("report", rule, str(folder), "give the command again"))
    tree = parse_json(read_file(path, TEXT_LIMIT), "report", f"valid JSON in {path}")
    summary = tree.get("summary") if isinstance(tree, dict) else None
    known = summary if isinstance(summary, dict) else {}
    lacks = [key for key in _NEEDED if key not in known or known[key] in ([], None)]
    if lacks:
        rule = f"a summary with {', '.join(_NEEDED)} in {path}"
        raise ValueError(expected("report", rule, Words(f"none of {', '.join(lacks)}")))
    return Explained(tree, Path(folder))


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}

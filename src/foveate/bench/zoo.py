"""What every attention costs on a ResNet-50: counted, and timed by the benchmark; kept in a file.

``python docs/build.py --zoo RESULT`` writes the file from a result of the suite ``network``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from foveate.accounting import count
from foveate.attention import list_attentions
from foveate.bench.result import OK, Result
from foveate.core import Words, expected
from foveate.core.files import write_json
from foveate.models import create_model

NETWORK, SIDE, PLAIN = "resnet50", 224, "none"
FILE = Path(__file__).with_name("zoo.json")


@dataclass(frozen=True)
class ZooCost:
    """What a network with an attention at its own sites costs.

    Attributes:
        params: Parameters of the whole network, 1000 classes.
        macs: Its multiply-accumulates for one image, everything counted.
        forward: Time of a forward pass over that of the plain network; None if not measured.
        step: The same of a forward and backward pass.
    """

    params: int
    macs: int
    forward: float | None = None
    step: float | None = None

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """Parameters, operations, and both times, as tables show them."""
        forward, step = (
            "not run" if time is None else f"{time:.2f}x" for time in (self.forward, self.step)
        )
        return f"{self.params / 1e6:.2f} M", f"{self.macs / 1e9:.2f} G", forward, step


@dataclass(frozen=True)
class Zoo:
    """The costs by attention, ``"none"`` among them, and how the times were measured."""

    costs: dict[str, ZooCost]
    conditions: dict[str, Any]


def count_cost(attention: str) -> ZooCost:
    """Count a ResNet-50 with an attention, on the meta device: nothing is computed."""
    with torch.device("meta"):
        model = create_model(NETWORK, attention)
    cost = count(model, (3, SIDE, SIDE))
    return ZooCost(cost.params, cost.macs)


def read_zoo() -> Zoo:
    """Read the kept costs."""
    tree = json.loads(FILE.read_text(encoding="utf-8"))
    costs = {name: ZooCost(**cost) for name, cost in tree["costs"].items()}
    return Zoo(costs, tree["conditions"])


def plain_words() -> str:
    """The plain network's cost, and how the times came about, in a sentence."""
    zoo = read_zoo()
    params, macs, *_ = zoo.costs[PLAIN].texts
    how = zoo.conditions
    threads = f"{how['threads']} thread" + ("s" if how["threads"] != 1 else "")
    torch_version = how["versions"]["torch"]
    return (
        f"ResNet-50 at {SIDE} x {SIDE}, plain: {params}, {macs}, 1.00x; times measured on"
        f" {how['processor']}, {threads}, torch {torch_version}."
    )


def write_zoo(result: Result) -> Zoo:
    """Count every attention, take the times from a result, and keep both.

    Raises:
        ValueError: If the result is a quick one, or has no times of the network.
    """
    rows = [row for row in result.rows if row.suite == "network" and row.case == NETWORK]
    if not rows or result.conditions.quick:
        got = Words("a quick one" if result.conditions.quick else ", ".join(result.suites))
        raise ValueError(
            expected("write_zoo", f"a result of the suite network with {NETWORK}", got)
        )
    modes = {"forward": "forward", "forward+backward": "step"}
    times: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.status == OK and row.speedup:
            times.setdefault(row.variant, {})[modes[row.mode]] = round(1 / row.speedup, 3)
    counted = {name: asdict(count_cost(name)) for name in (PLAIN, *list_attentions())}
    costs = {name: ZooCost(**{**cost, **times.get(name, {})}) for name, cost in counted.items()}
    kept = ("command", "commit", "processor", "threads", "statistic", "versions")
    conditions = {key: getattr(result.conditions, key) for key in kept}
    tree = {"costs": {name: asdict(cost) for name, cost in costs.items()}, "conditions": conditions}
    write_json(FILE, tree)
    return Zoo(costs, conditions)

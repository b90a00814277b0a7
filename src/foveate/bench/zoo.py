"""What every attention costs on a ResNet-50: counted and timed, and kept in a file.

``python docs/build.py --zoo`` writes the file anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from foveate.accounting.count import count
from foveate.accounting.latency import latency
from foveate.attention import list_attentions
from foveate.core import environment
from foveate.core.files import write_json
from foveate.core.reading import read_object, whole
from foveate.models import create_model

# Of torchvision: timm's branches start multiplied by zero, so that a gate in a row of them may
# leave numbers so small that a processor slows down on them.
NETWORK, SIDE, PLAIN = "torchvision/resnet50", 224, "none"
BATCH = {"forward": 1, "step": 4}
GROUP = 7
FILE = Path(__file__).with_name("zoo.json")


@dataclass(frozen=True)
class ZooCost:
    """What a network with an attention at its own sites costs.

    Attributes:
        params: Parameters of the whole network, 1000 classes.
        macs: Its multiply-accumulates for one image, everything counted.
        forward: Time of a forward pass of one image over that of the plain network; None if not
            measured.
        step: The same of a forward and backward pass of four images.
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


_RULE = "the costs of every attention, as python docs/build.py --zoo writes them"


def count_cost(attention: str) -> ZooCost:
    """Count a ResNet-50 with an attention, on the meta device: nothing is computed."""
    with torch.device("meta"):
        model = create_model(NETWORK, attention)
    cost = count(model, (3, SIDE, SIDE))
    return ZooCost(cost.params, cost.macs)


def read_zoo() -> Zoo:
    """Read the kept costs."""
    tree = read_object(FILE)
    with whole(str(FILE), _RULE):
        costs = {name: ZooCost(**cost) for name, cost in tree["costs"].items()}
        return Zoo(costs, dict(tree["conditions"]))


def plain_words() -> str:
    """The plain network's cost, and how the times came about, in a sentence."""
    zoo = read_zoo()
    with whole(str(FILE), _RULE):
        return _plain_words(zoo)


def _plain_words(zoo: Zoo) -> str:
    params, macs, *_ = zoo.costs[PLAIN].texts
    how = zoo.conditions
    threads = f"{how['threads']} thread" + ("s" if how["threads"] != 1 else "")
    return (
        f"ResNet-50 at {SIDE} x {SIDE}, plain: {params}, {macs}, 1.00x. Times are ratios measured"
        f" on {how['processor']}, {threads}, torch {how['torch']}: forward of one image, step of"
        f" {BATCH['step']}."
    )


def measure_zoo(tell: Callable[[str], None], threads: int, repeats: int = 15) -> None:
    """Count and time every attention, and write the file.

    The networks take turns in groups, the plain one in each, so that times are ratios of calls
    made together. That they compute what they should is the matter of the tests.

    Args:
        tell: Called with the name of each attention before its group is measured.
        threads: Threads of torch.
        repeats: Timed calls of each network; half as many of a training step.
    """
    names, commit = list_attentions(), environment.commit()  # The tree may move on.
    costs = {name: count_cost(name) for name in (PLAIN, *names)}
    costs[PLAIN] = replace(costs[PLAIN], forward=1.0, step=1.0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for first in range(0, len(names), GROUP):
            group = names[first : first + GROUP]
            tell(", ".join(group))
            for name, (forward, step) in _times(group, repeats).items():
                costs[name] = replace(costs[name], forward=forward, step=step)
    finally:
        torch.set_num_threads(before)
    conditions = {
        **{key: environment.machine()[key] for key in ("processor", "cores")},
        "threads": threads,
        "torch": torch.__version__.partition("+")[0],
        "commit": commit,
        "command": "python docs/build.py --zoo",
        "measured": environment.timestamp(),
        "batch": BATCH,
        "rounds": {"forward": repeats, "step": max(5, repeats // 2)},
    }
    tree = {"conditions": conditions, "costs": {name: asdict(costs[name]) for name in costs}}
    write_json(FILE, tree)


def _times(group: list[str], repeats: int) -> dict[str, tuple[float, float]]:
    """Ratios to the plain network of a forward pass and of a training step."""
    models = {name: create_model(NETWORK, name) for name in (PLAIN, *group)}
    ratios = {}
    for mode, rounds in (("forward", repeats), ("step", max(5, repeats // 2))):
        images = torch.rand(BATCH[mode], 3, SIDE, SIDE)
        ratios[mode] = latency(models, images, mode=mode, repeats=rounds, warmup=1)
    return {
        name: (round(ratios["forward"][name].ratio, 3), round(ratios["step"][name].ratio, 3))
        for name in group
    }

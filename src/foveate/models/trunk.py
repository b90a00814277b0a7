"""Any network as the trunk of a dense task: the maps at the ends of its stages, gates included."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from foveate.core import Words, expected
from foveate.surgery import is_inserted_path
from foveate.surgery.structure import stages
from foveate.surgery.trace import Record, watch


@dataclass(frozen=True)
class Level:
    """The end of a stage that the pyramid uses.

    Attributes:
        path: The module whose output it is.
        channels: Channels of its map.
        stride: Pixels of the image to a cell, a power of two.
        order: When it finished in the watched pass.
    """

    path: str
    channels: int
    stride: int
    order: int


class Trunk(nn.Module):
    """Runs a network and returns the maps of its levels.

    What lies behind the last level, a classifier for one, is taken out of the network in place;
    its remains run for nothing and have no weights.

    Args:
        network: A network with or without inserted attention.
        example: Images (N, 3, H, W) of the size that it is for.
        count: How many levels: the last ones, one for each resolution.

    Shape:
        - input: (N, 3, H, W)
        - output: by ``"0"``, ``"1"``, ...: (N, C_i, H_i, W_i), from fine to coarse

    Raises:
        ValueError: If the network has fewer levels.
    """

    def __init__(self, network: nn.Module, example: Tensor, count: int) -> None:
        super().__init__()
        records = watch(network, example)
        found = _levels(network, records, max(example.shape[2:]))
        if len(found) < count:
            got = Words(f"{len(found)} in {type(network).__name__}")
            remedy = "ask for fewer levels, or take a network of more stages"
            raise ValueError(expected("Trunk", f"stages of {count} resolutions", got, remedy))
        self.levels = found[-count:]
        _strip_(network, records, self.levels[-1].order)
        self.before = _before(network, records, found)
        self.network = network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps of the levels."""
        maps: dict[str, Tensor] = {}
        # Hung up anew for every pass: they come last, behind the gates that were inserted since,
        # and a copy of the trunk never fills the maps of another.
        handles = [
            self.network.get_submodule(level.path).register_forward_hook(_keep(maps, str(place)))
            for place, level in enumerate(self.levels)
        ]
        try:
            self.network(images)
        finally:
            for handle in handles:
                handle.remove()
        return dict(sorted(maps.items()))


def _keep(maps: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Tensor], None]:
    return partial(_put, maps, name)


def _put(maps: dict[str, Tensor], name: str, module: nn.Module, args: Any, output: Tensor) -> None:
    maps[name] = output


def _levels(network: nn.Module, records: Mapping[nn.Module, Record], side: int) -> list[Level]:
    """Find the last stage of each resolution, from fine to coarse."""
    found: dict[int, Level] = {}
    for end in stages(network, dict(records)):
        _, channels, *sides = end.shape
        stride = 2 ** round(math.log2(side / max(sides)))
        found[stride] = Level(end.path, channels, stride, end.record.order)
    return sorted(found.values(), key=lambda level: level.stride)


def _strip_(network: nn.Module, records: Mapping[nn.Module, Record], last: int) -> None:
    """Replace every layer with weights that ran behind the last level only by nothing."""
    for path, module in list(network.named_modules()):
        record = records.get(module)
        if record is None or record.order <= last or record.calls > 1 or not path:
            continue
        if module._parameters and not is_inserted_path(path):
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, nn.Identity())


def _before(
    network: nn.Module, records: Mapping[nn.Module, Record], levels: Sequence[Level]
) -> list[list[str]]:
    """Names of the base's modules with weights of their own, by the level they come before."""
    found: list[list[str]] = [[] for _ in levels]
    for path, module in network.named_modules():
        if not module._parameters or is_inserted_path(path):
            continue
        record = records.get(module)
        order = record.order if record is not None else -1
        found[sum(order > level.order for level in levels[:-1])].append(path)
    return found

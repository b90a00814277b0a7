"""Any network as the trunk of a detector: the maps at the ends of its stages, gates included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
        stride: Pixels of the image to a cell, by the longer side of the example.
        order: When it finished in the watched pass.
    """

    path: str
    channels: int
    stride: float
    order: int


class _Catch:
    """A forward hook that keeps what a module returned."""

    def __init__(self) -> None:
        self.map: Tensor | None = None

    def __call__(self, module: nn.Module, args: object, output: Tensor) -> None:
        self.map = output

    def take(self) -> Tensor:
        """Return the map and forget it."""
        if self.map is None:
            raise RuntimeError("a stage of the backbone did not run")
        found, self.map = self.map, None
        return found


class Trunk(nn.Module):
    """Runs a network and returns the maps of its levels.

    What lies behind the last level, a classifier for one, is taken out of the network in place;
    its remains run for nothing and have no weights.

    Args:
        network: A network with or without inserted attention.
        example: Images (N, 3, H, W) of the size that it is for.
        count: How many levels at most: the last ones, one for each resolution.

    Shape:
        - input: (N, 3, H, W)
        - output: by ``"0"``, ``"1"``, ...: (N, C_i, H_i, W_i), from fine to coarse
    """

    def __init__(self, network: nn.Module, example: Tensor, count: int) -> None:
        super().__init__()
        records = watch(network, example)
        self.levels = _levels(network, records, max(example.shape[2:]))[-count:]
        _strip_(network, records, self.levels[-1].order)
        self.before = _before(network, records, self.levels)
        self.network = network
        self._catches = [_Catch() for _ in self.levels]
        for level, catch in zip(self.levels, self._catches, strict=True):
            # Behind the hooks of what is inserted there, so that the gated map is seen.
            network.get_submodule(level.path).register_forward_hook(catch)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps of the levels."""
        self.network(images)
        return {str(place): catch.take() for place, catch in enumerate(self._catches)}


def _levels(network: nn.Module, records: Mapping[nn.Module, Record], side: int) -> list[Level]:
    """Find the last stage of each resolution, from the stride of 4 on where there are more."""
    found: dict[int, Level] = {}
    for end in stages(network, dict(records)):
        shape = end.shape
        level = Level(end.path, shape[1], side / max(shape[2:]), end.record.order)
        found[max(shape[2:])] = level
    levels = [level for level in found.values() if level.stride > 3] or list(found.values())
    if not levels:
        kind = type(network).__name__
        raise ValueError(expected("create_detector", "a network of stages", Words(kind)))
    return sorted(levels, key=lambda level: level.order)


def _strip_(network: nn.Module, records: Mapping[nn.Module, Record], last: int) -> None:
    """Replace every layer with weights that ran behind the last level, or never, by nothing."""
    for path, module in list(network.named_modules()):
        is_leaf = not any(True for _ in module.children())
        if not is_leaf or is_inserted_path(path) or not any(True for _ in module.parameters()):
            continue
        record = records.get(module)
        if record is None or record.order > last:
            parent, _, name = path.rpartition(".")
            setattr(network.get_submodule(parent), name, nn.Identity())


def _before(
    network: nn.Module, records: Mapping[nn.Module, Record], levels: Sequence[Level]
) -> list[list[str]]:
    """Names of the weights of the base by the level that they are first needed for, stem first."""
    found: list[list[str]] = [[] for _ in levels]
    for path, module in network.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if not own or is_inserted_path(path):
            continue
        record = records.get(module)
        order = record.order if record is not None else -1
        place = sum(order > level.order for level in levels[:-1])
        found[place] += [f"{path}.{name}" if path else name for name in own]
    return found

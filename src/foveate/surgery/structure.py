"""The residual blocks and the stages of a network, found from one watched forward pass.

No family is known by name: a block is what has several convolutions of its own and is not a mere
container, and a stage is a run of sibling blocks whose outputs have one shape.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

from foveate.surgery.attach import is_plain_container, last_of
from foveate.surgery.holder import INSTEAD, OUTPUT, Inserted
from foveate.surgery.trace import Record


@dataclass(frozen=True)
class Found:
    """A module at a place where an attention can hang.

    Attributes:
        name: How users know it: a stage by its container, a block by itself.
        path: Where the hook goes.
        module: The module there.
        record: What it did in the watched pass.
        at: ``OUTPUT`` or ``INPUT`` of the module, or ``INSTEAD`` of it.
    """

    name: str
    path: str
    module: nn.Module
    record: Record
    at: str = OUTPUT

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (N, C, H, W) of the map that the attention sees."""
        shape = self.record.shape if self.at == OUTPUT else self.record.input_shape
        return shape or ()

    @property
    def result(self) -> tuple[int, ...]:
        """Shape (N, C, H, W) of the map that the attention must return."""
        return (self.record.shape or ()) if self.at == INSTEAD else self.shape


def children_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """The children without what was inserted."""
    return [(n, c) for n, c in module.named_children() if not isinstance(c, Inserted)]


def _parts(module: nn.Module) -> list[nn.Module]:
    """All modules below and with ``module``, without what was inserted."""
    below = [part for _, child in children_of(module) for part in _parts(child)]
    return [module, *below]


def is_map(record: Record | None) -> bool:
    """Whether a module ran once and returned one (N, C, H, W) tensor."""
    return record is not None and record.calls == 1 and len(record.shape or ()) == 4


def blocks(model: nn.Module, records: dict[nn.Module, Record], prefix: str = "") -> list[Found]:
    """Find the blocks in the order in which they ran."""
    # A module under two names is one block: the first name counts.
    found = {block.module: block for block in reversed(_blocks(model, records, prefix))}
    return sorted(found.values(), key=lambda block: block.record.order)


def _blocks(module: nn.Module, records: dict[nn.Module, Record], prefix: str) -> list[Found]:
    found = []
    for name, child in children_of(module):
        path = f"{prefix}{name}"
        inner = _blocks(child, records, f"{path}.")
        record = records.get(child)
        if record is not None and _is_block(child, record):
            # A stage module hands on the very tensor of its last block: then the blocks count.
            if any(record.hands_on(block.record) for block in inner):
                found += inner
            else:
                found.append(Found(path, path, child, record))
        else:
            found += inner
    return found


def _is_block(module: nn.Module, record: Record) -> bool:
    """Whether it makes one map and has a convolution and one more, or a linear layer, inside."""
    if is_plain_container(module) or not is_map(record):
        return False
    inputs, outputs = record.input_shape or (), record.shape or ()
    if outputs[2:] == (1, 1) and len(inputs) == 4 and inputs[2] * inputs[3] > 4:
        return False  # no stride does this: a classifier made of convolutions, as in VGG
    parts = _parts(module)
    convs = sum(isinstance(part, nn.Conv2d) for part in parts)
    return convs >= 1 and convs + sum(isinstance(part, nn.Linear) for part in parts) >= 2


def stages(model: nn.Module, records: dict[nn.Module, Record]) -> list[Found]:
    """Find the ends of the stages: the last block of each run of siblings of one output shape.

    A network without blocks (VGG) has its stages by resolution.
    """
    every = blocks(model, records)
    ends = [_named_by_container(model, records, run, every) for run in runs(every)]
    found = ends or _by_resolution(model, records)
    return sorted(found, key=lambda end: end.record.order)


def runs(found: list[Found]) -> list[list[Found]]:
    """Split blocks into runs of one output shape that lie in one container or one inside another.

    A downsampling block beside the container of its stage's other blocks belongs to them.
    """
    runs: list[list[Found]] = []
    for block in found:
        if runs and runs[-1][-1].shape == block.shape:
            before, now = (f"{one.path.rpartition('.')[0]}." for one in (runs[-1][-1], block))
            if before.startswith(now) or now.startswith(before):
                runs[-1].append(block)
                continue
        runs.append([block])
    return runs


def _named_by_container(
    model: nn.Module, records: dict[nn.Module, Record], run: list[Found], every: list[Found]
) -> Found:
    """Name a stage by the largest container that hands on its last block's output and no more."""
    last, name = run[-1], run[-1].path
    parent = name.rpartition(".")[0]
    while parent:
        if sum(block.path.startswith(f"{parent}.") for block in every) > len(run):
            break
        module = model.get_submodule(parent)
        record = records.get(module)
        handed = record is not None and record.hands_on(last.record)
        # A stage may be run block by block without being called: then its last child decides.
        if not handed and (record is not None or last_of(module) is not last.module):
            break
        name, parent = parent, parent.rpartition(".")[0]
    return Found(name, last.path, last.module, last.record)


def _by_resolution(model: nn.Module, records: dict[nn.Module, Record]) -> list[Found]:
    """The last layer of each resolution that has a convolution of its own."""
    paths = {module: path for path, module in model.named_modules()}
    leaves = [
        Found(paths[module], paths[module], module, record)
        for module, record in records.items()
        if module in paths and not children_of(module) and is_map(record)
    ]
    leaves.sort(key=lambda leaf: leaf.record.order)
    ends = []
    for _, level in itertools.groupby(leaves, key=lambda leaf: leaf.shape[2:]):
        layers = list(level)
        convs = [leaf for leaf in layers if isinstance(leaf.module, nn.Conv2d)]
        if convs and convs[-1].shape[2] * convs[-1].shape[3] > 1:
            ends.append(layers[-1])
    return ends


def last_activation(found: Found, records: dict[nn.Module, Record]) -> tuple[nn.Module, int] | None:
    """The activation whose result a block returns, and how often the block runs it."""
    for part in found.module.modules():
        record = records.get(part)
        is_leaf = part is not found.module and not children_of(part)
        if not is_leaf or list(part.parameters()) or record is None:
            continue
        if isinstance(record.output, Tensor) and found.record.hands_on(record):
            return part, record.calls
    return None


def has_identity(block: Found) -> bool:
    """Whether input and output of a block have one shape, so that its skip is the identity."""
    return block.record.input_shape == block.shape


def last_per_stride(found: list[Found], image: int) -> list[Found]:
    """The last block of each stride from 4 on; ``image`` is the height of the input in pixels."""
    last: dict[int, Found] = {}
    for block in found:
        last[block.shape[2]] = block
    return [block for height, block in last.items() if 2 * height < image]

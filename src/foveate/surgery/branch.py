"""Inside a residual block: the last norm, the last convolution and the last one with a kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from foveate.surgery.holder import INPUT, INSTEAD, is_inserted_path
from foveate.surgery.structure import Found, children_of, is_map
from foveate.surgery.trace import Record

_NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)
_SHORTCUTS = {"downsample", "shortcut", "skip", "identity"}
# Classes of gates that a network has of its own: their convolutions are not the branch's.
_GATES = re.compile(r"SE(Module|Block|Layer)?$|Squeeze|cbam", re.IGNORECASE)
Records = dict[nn.Module, Record]


def _branch(block: Found, records: Records) -> Iterator[Found]:
    """The modules of a block that ran, without those of its shortcut and of its own gates."""
    aside = _shortcut(block, records)
    for name, part in block.module.named_modules():
        record = records.get(part)
        if part is not block.module and _GATES.search(type(part).__name__):
            aside.update(part.modules())
        hidden = is_inserted_path(name) or not _SHORTCUTS.isdisjoint(name.split("."))
        if record is not None and not hidden and part not in aside:
            path = f"{block.path}.{name}"
            yield Found(path, path, part, record)


def _shortcut(block: Found, records: Records) -> set[nn.Module]:
    """The layers that lead from the block's input to its sum by fewer convolutions than others.

    They are followed by who reads whose result, so a step that is no module ends the way.
    """
    layers = [
        (part, records[part])
        for name, part in block.module.named_modules()
        if part in records and not children_of(part) and not is_inserted_path(name)
    ]
    x = block.record.passes[0][0]
    ways = [
        _way(part, layers)
        for part, record in layers
        if x is not None and any(given is x for given, _ in record.passes)
    ]
    convs = [sum(isinstance(part, nn.Conv2d) for part in way) for way in ways]
    # A way of no convolution is a norm before all branches as often as a shortcut.
    short = [way for way, count in zip(ways, convs, strict=True) if 0 < count < max(convs)]
    return set().union(*short)


def _way(start: nn.Module, layers: list[tuple[nn.Module, Record]]) -> set[nn.Module]:
    """The layers that read, one from another, what ``start`` returns."""
    way: set[nn.Module] = {start}
    reached = [output for part, record in layers if part is start for _, output in record.passes]
    known = set(map(id, reached))
    while reached:
        result = reached.pop()
        for part, record in layers:
            for given, output in record.passes:
                if given is result:
                    way.add(part)
                    reached += [] if id(output) in known else [output]
                    known.add(id(output))
    return way


def last_norm(block: Found, records: Records) -> Found | None:
    """The norm that ends the residual branch: no convolution comes after it."""
    norms, last_layer = [], -1
    for one in _branch(block, records):
        if isinstance(one.module, _NORMS) and is_map(one.record) and one.shape == block.shape:
            norms.append(one)
        elif isinstance(one.module, (nn.Conv2d, nn.Linear)) and _covers(one.shape, block.shape):
            last_layer = max(last_layer, one.record.order)
    last = max(norms, key=lambda norm: norm.record.order, default=None)
    return last if last is not None and last.record.order > last_layer else None


def before_last_conv(block: Found, records: Records) -> Found | None:
    """The map that the last convolution of the branch reads."""
    return _last(_convs(block, records), INPUT)


def spatial_conv(block: Found, records: Records) -> Found | None:
    """The last convolution of the branch with a kernel above 1x1."""
    wide = [one for one in _convs(block, records) if max(one.module.kernel_size) > 1]  # type: ignore[arg-type,type-var]
    return _last(wide, INSTEAD)


def _convs(block: Found, records: Records) -> list[Found]:
    return [
        one
        for one in _branch(block, records)
        if isinstance(one.module, nn.Conv2d)
        and is_map(one.record)
        and _covers(one.shape, block.shape)
    ]


def _last(found: list[Found], at: str) -> Found | None:
    last = max(found, key=lambda one: one.record.order, default=None)
    return None if last is None else replace(last, at=at)


def _covers(shape: tuple[int, ...], block: tuple[int, ...]) -> bool:
    """Whether a layer worked on the whole map, in either layout, and not on pooled values."""
    return block[2:] in (shape[2:], shape[1:3])

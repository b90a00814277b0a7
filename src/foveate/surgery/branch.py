"""Inside a residual block: the last norm, the last convolution and the last one with a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from foveate.surgery.holder import INPUT, INSTEAD, is_inserted_path
from foveate.surgery.structure import Found, is_map
from foveate.surgery.trace import Record

_NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)
_SHORTCUTS = {"downsample", "shortcut", "skip", "identity"}
Records = dict[nn.Module, Record]


def _branch(block: Found, records: Records) -> Iterator[Found]:
    """The modules of a block that ran, without those of its shortcut."""
    for name, part in block.module.named_modules():
        record = records.get(part)
        hidden = is_inserted_path(name) or not _SHORTCUTS.isdisjoint(name.split("."))
        if record is not None and not hidden:
            path = f"{block.path}.{name}"
            yield Found(path, path, part, record)


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

"""Changes that the paper of an attention makes to the network around it, taken back on removal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from foveate.core import Words, check_choice, expected
from foveate.surgery.holder import is_inserted_path
from foveate.surgery.insertion import HOSTS, Insertion
from foveate.surgery.seating import seats
from foveate.surgery.structure import children_of
from foveate.surgery.trace import watch

_OLD_STRIDE = "foveate_old_stride"


@contextlib.contextmanager
def changed_host(model: nn.Module, how: Insertion, example: Any, keep: bool) -> Iterator[None]:
    """Change a network as ``how.host`` says; without ``keep``, or on an error, it is taken back.

    Raises:
        ValueError: If the change is unknown, already made, forbidden by an identity start, or the
            network has nothing to change.
    """
    if how.host is None:
        yield
        return
    check_choice("insert_", "host", how.host, HOSTS)
    if how.start == "identity":
        rule = "host=None with an identity start, which leaves the output as it is"
        raise ValueError(expected("insert_", rule, how.host))
    if any(hasattr(layer, _OLD_STRIDE) for layer in model.modules()):
        got = Words("one where it is made already")
        raise ValueError(expected(f"host={how.host!r}", "a network as published", got))
    layers = strided_layers(model, example)
    try:
        for layer in layers:
            setattr(layer, _OLD_STRIDE, layer.stride)
            layer.stride = (1, 1)
        yield
    except BaseException:
        restore_host_(model)
        raise
    if not keep:
        restore_host_(model)


def strided_layers(model: nn.Module, example: Any) -> list[Any]:
    """The convolutions with a stride in the last block that makes the map smaller.

    Raises:
        ValueError: If there is no such block, or something else in it makes the map smaller.
    """
    records = watch(model, example)
    shrinking = [
        seat.block
        for seat in seats(model, records)
        if (seat.block.record.input_shape or ())[2:] != seat.block.shape[2:]
    ]
    rule = "a network whose last stride is that of convolutions in a residual block"
    if not shrinking:
        raise ValueError(expected("host='last_stride_1'", rule, Words(type(model).__name__)))
    block = shrinking[-1]
    found: list[Any] = []
    for name, layer in block.module.named_modules():
        record = records.get(layer)
        if record is None or children_of(layer) or is_inserted_path(name):
            continue
        before, after = (record.input_shape or ())[2:], (record.shape or ())[2:]
        if before == after or after in ((), (1, 1)):
            continue  # A gate of the network pools to one pixel.
        if type(layer) is nn.Conv2d and max(layer.stride) > 1:
            found.append(layer)
        else:
            got = Words(f"{block.path}.{name} ({type(layer).__name__})")
            raise ValueError(expected("host='last_stride_1'", rule, got))
    return found


def changed_layers(model: nn.Module) -> dict[str, list[str]]:
    """The layers that were changed, by the name of the change."""
    paths = [path for path, layer in model.named_modules() if _OLD_STRIDE in layer.__dict__]
    return {next(iter(HOSTS)): paths} if paths else {}


def change_layers_(model: nn.Module, how: str, paths: list[str], who: str) -> None:
    """Make a change again whose layers are known.

    Raises:
        ValueError: If the change is unknown, or a layer is none that it changes.
    """
    check_choice(who, "host", how, HOSTS)
    layers = dict(model.named_modules())
    for path in paths:
        layer: Any = layers.get(path)
        if type(layer) is not nn.Conv2d or max(layer.stride) < 2:
            rule = f"convolutions with a stride to change by {how}"
            raise ValueError(expected(who, rule, path))
        setattr(layer, _OLD_STRIDE, layer.stride)
        layer.stride = (1, 1)


def restore_host_(model: nn.Module) -> str | None:
    """Take every change back; return the name of what there was."""
    changed = [layer for layer in model.modules() if _OLD_STRIDE in layer.__dict__]
    for layer in changed:
        layer.stride = layer.__dict__.pop(_OLD_STRIDE)
    return next(iter(HOSTS)) if changed else None

"""Insert again what a record says, without running the network and without looking for sites."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from foveate.attention import AttentionSpec, attention_spec, check_options
from foveate.attention.place import Memory
from foveate.core import Words, expected
from foveate.core.strict_json import Fields
from foveate.surgery.attach import attach, detach, holder_of, inserted_at
from foveate.surgery.compiled import make_compiler_see_hooks
from foveate.surgery.holder import (
    CHILD,
    INPUT,
    INSTEAD,
    OUTPUT,
    Asked,
    Inserted,
    Origin,
    guard_loading,
    is_inserted_path,
    iter_inserted,
)
from foveate.surgery.host import change_layers_, restore_host_
from foveate.surgery.instead import arguments_of, parked_by
from foveate.surgery.prepare import count_added
from foveate.surgery.record import MEMORY


def rebuild_(model: nn.Module, record: dict[str, Any], who: str = "load") -> None:
    """Insert into a network, in place, what :func:`~foveate.surgery.record.describe` described.

    The attentions have fresh weights. What was inserted before is taken out first. The record is
    not trusted: names are looked up, never imported, and every value is checked.

    Args:
        model: The base network that the record was made on, or one like it.
        record: ``insertions`` and ``hosts``.
        who: Who asks, for errors.

    Raises:
        ValueError: If the record is malformed, or does not fit the network; then the network has
            no attentions.

    Example:
        >>> import torch
        >>> from foveate.surgery import insert_, inserted
        >>> from foveate.surgery.record import describe
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> _ = insert_(net, "se", ["1"], example=torch.zeros(1, 3, 8, 8))
        >>> fresh = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> rebuild_(fresh, describe(net))
        >>> list(inserted(fresh))
        ['1']
    """
    fields = Fields(record, "model.json", who)
    take_out_(model)
    try:
        for how, paths in fields.mapping("hosts").items():
            listed = Fields({how: paths}, "model.json at hosts", who).texts(how)
            change_layers_(model, how, listed, who)
        memories: dict[int, Memory] = {}
        for number, insertion in enumerate(fields.each("insertions"), 1):
            _insert_(model, insertion, number, memories, who)
        fields.end()
    except BaseException:
        take_out_(model)
        raise
    if next(iter_inserted(model), None) is not None:
        make_compiler_see_hooks()
        guard_loading(model)


def take_out_(model: nn.Module) -> None:
    """Take every attention and every change to the network out, if there is any."""
    detach(model)
    restore_host_(model)


def _insert_(
    model: nn.Module, insertion: Fields, number: int, memories: dict[int, Memory], who: str
) -> None:
    spec = attention_spec(insertion.text("attention"))
    options = insertion.mapping("options")
    check_options(spec, options)
    start = insertion.choice("start", ("paper", "identity"))
    where = insertion.anything("where")
    if not isinstance(where, str):
        where = tuple(Fields({"where": where}, insertion.where, who).texts("where"))
    asked = Asked(
        attention=spec.name,
        options=options,
        where=where,
        position=insertion.choice("position", ("after", "before")),
        example=tuple(tuple(shape) for shape in insertion.wholes("example")),
        number=number,
    )
    for site in insertion.each("sites"):
        _hang_(model, site, spec, asked, start == "identity", memories, who)
    insertion.end()


def _hang_(
    model: nn.Module,
    site: Fields,
    spec: AttentionSpec,
    asked: Asked,
    identity: bool,
    memories: dict[int, Memory],
    who: str,
) -> None:
    path = site.text("path")
    target = _module_at(model, path, site, who)
    at = site.choice("at", (OUTPUT, INPUT, INSTEAD))
    if (at == INSTEAD) != (spec.kind == "convolution") or inserted_at(target, at) is not None:
        got = Words(f"{spec.name} at {path} ({at})")
        raise ValueError(expected(who, "a free site that the attention is for", got))
    if at == INSTEAD:
        arguments_of(target, path)
    child = site.text("child")
    if not re.fullmatch(rf"{CHILD}\d{{0,9}}", child) or hasattr(holder_of(target), child):
        raise ValueError(expected(who, f"a free name such as {CHILD!r} at {path}", child))
    before, shown = _before(model, site, asked, at, who), site.anything("shown")
    if spec.watches != (shown is not None):
        raise ValueError(expected(who, f"a block to show to {spec.name} at {path}", Words(shown)))
    block = None if shown is None else _module_at(model, shown, site, who)
    channels, fitted = site.whole("channels", 1), _fitted(site, spec, memories, who)
    attention = spec.factory(channels, **{**asked.options, **fitted})
    origin = Origin(asked, channels, fitted)
    name = site.text("name")
    holder = Inserted(spec.name, name, attention, identity, at, spec.borrows_kernel, origin)
    holder.train(target.training)
    device = next((weight.device for weight in model.parameters()), None)
    holder.to(device)
    parked = parked_by(model, target, holder)
    holder.added = count_added(holder, target, parked)
    site.end()
    attach(target, holder, before, block, parked, child)


def _module_at(model: nn.Module, path: Any, site: Fields, who: str) -> nn.Module:
    """Find a module of the base network."""
    if isinstance(path, str) and not is_inserted_path(path):
        found: nn.Module | None = dict(model.named_modules()).get(path)
        if found is not None:
            return found
    rule = f"modules of {type(model).__name__} in {site.where}"
    raise ValueError(expected(who, rule, str(path)[:200]))


def _before(
    model: nn.Module, site: Fields, asked: Asked, at: str, who: str
) -> tuple[nn.Module, int] | None:
    """The activation, and the number of its call, whose input is attended to instead."""
    before = site.anything("before")
    if (before is not None) != (asked.position == "before" and at == OUTPUT):
        rule = f"an activation for position='before' alone in {site.where}"
        raise ValueError(expected(who, rule, Words(str(before)[:200])))
    if before is None:
        return None
    if not isinstance(before, list) or len(before) != 2 or type(before[1]) is not int:
        rule = f"a module and the number of its call in {site.where}"
        raise ValueError(expected(who, rule, Words(str(before)[:200])))
    if before[1] < 1:
        raise ValueError(expected(who, f"calls from 1 on in {site.where}", before[1]))
    return _module_at(model, before[0], site, who), before[1]


def _fitted(
    site: Fields, spec: AttentionSpec, memories: dict[int, Memory], who: str
) -> dict[str, Any]:
    """The options that the place asked for: tuples as at first, memories shared as at first."""
    fitted = site.mapping("fitted")
    check_options(spec, fitted)
    found = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fitted.items()
    }
    if MEMORY in found:
        number = Fields(fitted, site.where, who).whole(MEMORY)
        found[MEMORY] = memories.setdefault(number, Memory())
    return found

"""From ``where`` to the modules that attentions hang on."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from foveate.attention.where import SITES, Where, is_where, parse_where
from foveate.core import Words, expected, suggest
from foveate.surgery.attach import last_of
from foveate.surgery.branch import before_last_conv, last_norm, spatial_conv
from foveate.surgery.holder import INPUT, INSTEAD, OUTPUT, is_inserted_path
from foveate.surgery.seating import Seat
from foveate.surgery.structure import (
    Found,
    has_identity,
    is_map,
    last_per_stride,
    stages,
)
from foveate.surgery.trace import Record

Sites = str | Sequence[str]


def find_sites(
    model: nn.Module,
    where: Sites,
    records: dict[nn.Module, Record],
    every: list[Seat],
    image: int,
    replaces: bool = False,
) -> list[Found]:
    """Find the sites of a description, or of a list of patterns.

    Args:
        model: The network.
        where: A description (see :func:`~foveate.attention.where.parse_where`), or patterns over
            module names; ``*``, ``?`` and ``[..]`` stay within one part of a dotted name, ``**``
            stands for any parts.
        records: What :func:`foveate.surgery.trace.watch` saw.
        every: The blocks of the network, see :func:`foveate.surgery.seating.seats`.
        image: Height of the example in pixels.
        replaces: Whether patterns name convolutions to replace.

    Raises:
        ValueError: If the description is wrong or finds nothing, a pattern matches nothing, or a
            matched module has no single (N, C, H, W) output.
    """
    if not isinstance(where, str):
        listed = list(where) if isinstance(where, Sequence) else [where]
        if not all(isinstance(pattern, str) for pattern in listed):
            raise TypeError(expected("where", "a description or a list of patterns", where))
        return _by_patterns(model, listed, records, replaces)
    if not is_where(where):
        if any(mark in where for mark in ".*?["):
            remedy = "give patterns as a list: where=[" + repr(where) + "]"
        else:
            remedy = suggest(where, SITES) + "; or give a list of module-name patterns"
        rule = "a description of sites or a list of patterns"
        raise ValueError(expected("where", rule, where, remedy))
    parts = parse_where(where)
    found: dict[tuple[nn.Module, str], Found] = {}
    for part in parts:
        for one in _of_site(part, model, records, every, image):
            found.setdefault((one.module, one.at), one)
    if not found:
        remedy = _other_sites(parts, every) + "a list of module names such as "
        remedy += ", ".join(repr(path) for path in _some_paths(model, records))
        rule = " and ".join(dict.fromkeys(SITES[part.site] for part in parts))
        count = len(stages(model, records))
        got = Words(f"none in {type(model).__name__}, which has {count} stages")
        raise ValueError(expected(f"where={where!r}", rule, got, remedy))
    return sorted(found.values(), key=lambda one: one.record.order)


def _of_site(
    part: Where,
    model: nn.Module,
    records: dict[nn.Module, Record],
    every: list[Seat],
    image: int,
) -> list[Found]:
    if part.site == "stages":
        ends = stages(model, records)
        return [end for number, end in enumerate(ends, 1) if part.takes(number, len(ends), 1, 1)]
    if part.site == "strides":
        return last_per_stride([seat.block for seat in every], image)
    chosen = [
        seat.block
        for seat in every
        if part.takes(seat.stage, seat.stages, seat.number, seat.blocks)
    ]
    inside: dict[str, Callable[[Found], Found | None]] = {
        "blocks": lambda block: block,
        "skips": lambda block: block if has_identity(block) else None,
        "post_norm": lambda block: last_norm(block, records),
        "after_conv2": lambda block: before_last_conv(block, records),
        "replace_conv2": lambda block: spatial_conv(block, records),
        "block_input": _input_of,
    }
    found = map(inside[part.site], chosen)
    return [one for one in found if one is not None]


def _other_sites(parts: tuple[Where, ...], every: list[Seat]) -> str:
    """Words for a coarser site where this one is not found; none for what replaces."""
    tried = {part.site for part in parts}
    if "replace_conv2" in tried:
        return "use "
    return f"use where={'blocks' if every and 'blocks' not in tried else 'stages'!r}, or "


def _input_of(block: Found) -> Found:
    if len(block.record.input_shape or ()) != 4:
        rule = "blocks that take their map as the first argument, by position"
        got = Words(f"{block.path} ({type(block.module).__name__})")
        raise ValueError(expected("where='block_input'", rule, got))
    return replace(block, at=INPUT)


def _by_patterns(
    model: nn.Module, patterns: list[str], records: dict[nn.Module, Record], replaces: bool
) -> list[Found]:
    if not patterns:
        raise ValueError(expected("where", "at least one pattern", []))
    # An alias is one module under several names: any of its names matches.
    names = [
        (path, module)
        for path, module in model.named_modules(remove_duplicate=False)
        if path and not is_inserted_path(path)
    ]
    chosen: dict[nn.Module, Found] = {}
    for pattern in patterns:
        matched = [(path, module) for path, module in names if matches(path, pattern)]
        if not matched:
            raise ValueError(
                expected("where", "patterns that match a module", pattern, _near(pattern, names))
            )
        for path, module in matched:
            target = last_of(module)
            record = records.get(target)
            if record is None or not is_map(record):
                raise ValueError(
                    expected(
                        f"where={pattern!r}",
                        "modules that run once and return one (N, C, H, W) tensor",
                        Words(f"{path} ({type(module).__name__}), which {_what(record)}"),
                    )
                )
            at = INSTEAD if replaces else OUTPUT
            chosen.setdefault(target, Found(path, path, target, record, at))
    return sorted(chosen.values(), key=lambda one: one.record.order)


def matches(path: str, pattern: str) -> bool:
    """Whether a dotted module name matches a pattern, part by part.

    Example:
        >>> matches("features.14", "features.1[24]"), matches("layer1.0", "layer?")
        (True, False)
        >>> matches("backbone.body.layer3", "**.layer?")
        True
    """
    return _match(path.split("."), pattern.split("."))


def _match(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[:2] == ["**", "**"]:
        return _match(parts, pattern[1:])  # Else the tries would multiply with each.
    if pattern[0] == "**":
        return any(_match(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return (
        bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _match(parts[1:], pattern[1:])
    )


def _what(record: Record | None) -> str:
    if record is None:
        return "was not called on the example"
    if record.calls > 1:
        return f"ran {record.calls} times"
    return f"returned {record.shape or type(record.output).__name__}"


def _near(pattern: str, names: list[tuple[str, nn.Module]]) -> str:
    paths = [path for path, _ in names]
    near = difflib.get_close_matches(pattern, paths, n=4, cutoff=0.4)
    shallow = [path for path in paths if path.count(".") <= 1][:12]
    head = f"near: {', '.join(near)}; " if near else ""
    return f"{head}some modules are {', '.join(shallow)}"


def _some_paths(model: nn.Module, records: dict[nn.Module, Record]) -> list[str]:
    found = [path for path, module in model.named_modules() if is_map(records.get(module))]
    return found[-4:]

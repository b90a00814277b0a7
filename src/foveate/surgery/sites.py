"""From ``where`` to the modules on whose outputs an attention hangs."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from torch import nn

from foveate.core import Words, expected, suggest
from foveate.surgery.attach import is_inserted_path, last_of
from foveate.surgery.structure import (
    Found,
    blocks,
    is_map,
    last_per_stride,
    post_norms,
    stages,
    with_identity,
)
from foveate.surgery.trace import Record

PRESETS = {
    "stages": "the end of every stage, after the last block's addition and activation",
    "blocks": "the end of every block",
    "skips": "the end of every block whose skip is the identity",
    "strides": "the last block of each stride from 4 on",
    "post_norm": "the last norm of every residual branch, before the addition",
}
Where = str | Sequence[str]


def find_sites(
    model: nn.Module, where: Where, records: dict[nn.Module, Record], image: int
) -> list[Found]:
    """Find the sites of a preset, or of a list of patterns.

    Args:
        model: The network.
        where: A preset, or patterns over module names; ``*``, ``?`` and ``[..]`` stay within one
            part of a dotted name, ``**`` stands for any parts.
        records: What :func:`foveate.surgery.trace.watch` saw.
        image: Height of the example in pixels.

    Raises:
        ValueError: If the preset is unknown or finds nothing, a pattern matches nothing, or a
            matched module has no single (N, C, H, W) output.
    """
    if not isinstance(where, str):
        listed = list(where) if isinstance(where, Sequence) else [where]
        if not all(isinstance(pattern, str) for pattern in listed):
            raise TypeError(expected("where", "a preset or a list of patterns", where))
        return _by_patterns(model, listed, records)
    if where not in PRESETS:
        if any(mark in where for mark in ".*?["):
            remedy = "give patterns as a list: where=[" + repr(where) + "]"
        else:
            remedy = suggest(where, PRESETS) + "; or give a list of module-name patterns"
        raise ValueError(expected("where", "a preset or a list of patterns", where, remedy))
    found = {
        "stages": lambda: stages(model, records),
        "blocks": lambda: blocks(model, records),
        "skips": lambda: with_identity(blocks(model, records)),
        "strides": lambda: last_per_stride(blocks(model, records), image),
        "post_norm": lambda: post_norms(model, records),
    }[where]()
    if not found:
        remedy = "use where='stages', or a list of module names such as " + ", ".join(
            repr(path) for path in _some_paths(model, records)
        )
        raise ValueError(
            expected(
                f"where={where!r}", PRESETS[where], Words(f"none in {type(model).__name__}"), remedy
            )
        )
    return found


def _by_patterns(
    model: nn.Module, patterns: list[str], records: dict[nn.Module, Record]
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
            chosen.setdefault(target, Found(path, path, target, record))
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

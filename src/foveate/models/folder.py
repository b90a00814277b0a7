"""The folder of a saved model: ``model.json``, ``model.safetensors``, and how both are checked."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foveate.core import Words, expected
from foveate.core.files import json_bytes, write_all, write_together
from foveate.core.strict_json import LARGEST, Fields, plain, read_json
from foveate.models.ceiling import building
from foveate.models.weights import (
    SPEC,
    WEIGHTS,
    Contents,
    aliases,
    check_fit,
    check_inside,
    conditions,
    digest,
    locate,
    read_conditions,
    read_header,
    settle_,
    to_bytes,
)
from foveate.surgery.record import describe

FORMAT = 2
LOADERS = {
    "model": "foveate.load",
    "detector": "foveate.detection.load_detector",
    "segmenter": "foveate.segmentation.load_segmenter",
    "stereo": "foveate.stereo.load_stereo",
}
"""What loads each kind of model that a folder may hold."""

_VERSIONED = ("timm", "torchvision")
_UNSEEN = re.compile(r",? ?\b(inplace|momentum|p|drop_prob)=[^,)]*| at 0x[0-9a-fA-F]+")


def write_stored(
    model: nn.Module,
    folder: str | os.PathLike[str],
    key: str,
    spec: dict[str, Any],
    *,
    rebuild: Callable[[], nn.Module] | None = None,
    who: str = "save",
) -> Path:
    """Write the weights of a model, what was inserted into it, and under ``key`` what builds it.

    Both files are written beside their names, flushed, and then renamed: an interrupted save
    leaves the previous ones. Where the machine stops between the two renames, the digest in
    ``model.json`` tells that they do not belong together.

    Args:
        model: A network; what :func:`foveate.insert_` did to it is read off it.
        folder: Made if missing.
        key: Kind of the model, one of ``LOADERS``.
        spec: What builds the network, in plain values.
        rebuild: Builds the network anew, to see that what is written can be loaded.
        who: Who asks, for errors.

    Raises:
        ValueError: If the model cannot be saved in this form.
        TypeError: If it is wrapped or compiled, or a value is nothing that JSON holds.
        OSError: If the disk is full or cannot be written.
    """
    record = describe(model, who)
    weights = to_bytes(model, who)
    tree = {
        "format": FORMAT,
        "foveate": _version("foveate"),
        "versions": {"torch": str(torch.__version__)}
        | {name: _version(name) for name in _VERSIONED if name in sys.modules},
        "weights": {
            "file": WEIGHTS,
            "bytes": len(weights),
            "sha256": hashlib.sha256(weights).hexdigest(),
        },
        key: plain(spec, f"{who} (what builds the network)"),
        **record,
        "tensors": conditions(model),
    }
    if rebuild is not None:
        _check_rebuilt(model, record, rebuild, who)
    text = json_bytes(tree)
    if len(text) > LARGEST:
        raise ValueError(expected(who, f"a {SPEC} of at most {LARGEST:,} bytes", len(text)))
    target = Path(folder)
    write_together(
        {
            target / WEIGHTS: lambda handle: write_all(handle, weights),
            target / SPEC: lambda handle: write_all(handle, text),
        },
        "a model",
    )
    return target


def _version(package: str) -> str:
    return str(getattr(importlib.import_module(package), "__version__", ""))


def _check_rebuilt(
    model: nn.Module, record: dict[str, Any], rebuild: Callable[[], nn.Module], who: str
) -> None:
    """Refuse to write what could not be loaded."""
    state = model.state_dict(keep_vars=True)
    shapes = {name: tuple(state[name].shape) for name in dict.fromkeys(aliases(state).values())}
    contents = Contents(Path(), shapes, FORMAT, record)
    with building(contents.numbers, who):
        fresh = rebuild()
    settle_(fresh, contents, who)
    rule = "a network that its base and its insertions rebuild"
    remedy = "where a layer was replaced, pass base= and base_kwargs= that make it as it is now"
    check_fit(fresh, shapes, rule, who, remedy)
    here, there = _layers(model), _layers(fresh)
    for path in dict.fromkeys([*here, *there]):
        if here.get(path) != there.get(path):
            got = f"{path} {here.get(path, 'missing')} where it has {there.get(path, 'none')}"
            raise ValueError(expected(who, rule, Words(got), remedy))


def _layers(model: nn.Module) -> dict[str, str]:
    """What each module says of itself, but for what changes no output in evaluation."""
    return {
        path: _UNSEEN.sub("", f"{type(one).__name__}({one.extra_repr()})")
        if any(True for _ in one.children())
        else _UNSEEN.sub("", repr(one))
        for path, one in model.named_modules()
    }


def read_stored(
    folder: str | os.PathLike[str], key: str, who: str
) -> tuple[dict[str, Any], Contents]:
    """Read what :func:`write_stored` wrote: what builds the network, and the rest.

    Sizes, digest and header of the weights are checked; the weights themselves are read when they
    are filled in. To build the network, use ``with contents.building(who):``, then :func:`fill_`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, of an unknown format, or of another kind of model.
    """
    source = Path(folder)
    check_inside(source / SPEC, who)
    fields = Fields(read_json(source / SPEC, who), SPEC, who)
    version = fields.whole("format")
    if version not in (1, FORMAT):
        raise ValueError(expected(who, f"format 1 or {FORMAT}", version, "update foveate"))
    other = next((kind for kind in LOADERS if kind != key and kind in fields), None)
    if other is not None:
        remedy = f"call {LOADERS[other]}"
        raise ValueError(expected(who, f"a {key} in {source}", Words(f"a {other}"), remedy))
    spec = fields.mapping(key)
    if version == 1:
        path = locate(source, WEIGHTS, who)
        found = Contents(path, read_header(path, who))
    else:
        found = _read(source, fields, who)
    fields.end()
    return spec, found


def _read(source: Path, fields: Fields, who: str) -> Contents:
    """Read the rest of format 2, and compare the weights with what it says of them."""
    fields.text("foveate")
    versions = fields.mapping("versions")
    for name in versions:
        Fields(versions, f"{SPEC} at versions", who).text(name)
    entry = fields.fields("weights")
    path = locate(source, entry.text("file"), who)
    size, wanted = entry.whole("bytes"), entry.text("sha256")
    entry.end()
    shapes = read_header(path, who)
    record = {"insertions": fields.anything("insertions"), "hosts": fields.anything("hosts")}
    told = read_conditions(fields.fields("tensors"), who)
    there = path.stat().st_size
    remedy = f"{path.name} is damaged or belongs to another {SPEC}: copy the folder again"
    if there != size:
        raise ValueError(expected(who, f"{path.name} of {size:,} bytes", there, remedy))
    found = digest(path)
    if found != wanted:
        raise ValueError(expected(who, f"{path.name} with SHA-256 {wanted[:64]}", found, remedy))
    return Contents(path, shapes, FORMAT, record, **told)

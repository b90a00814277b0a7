"""What builds the base network of a saved model: a name, an import path, or the caller."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import nn

from foveate.core import Words, expected
from foveate.core.strict_json import Fields, plain
from foveate.models.create import base_network
from foveate.models.weights import SPEC

GIVEN = "given"
"""The word for a network that the caller of ``load`` hands over."""

Base = nn.Module | Callable[..., nn.Module]
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_FORM = "an import path such as 'package.module:function'"


def base_spec(
    model: nn.Module,
    base: str | Callable[..., nn.Module] | None,
    arguments: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Say in plain values what builds the base network of a model.

    Raises:
        ValueError: If it is not known, or cannot be found in another process.
        TypeError: If an argument is nothing that JSON holds.
    """
    who = "save"
    if base is None:
        if arguments is not None:
            raise ValueError(expected(who, "base_kwargs together with base", Words("no base")))
        known: dict[str, Any] | None = getattr(model, "foveate_spec", None)
        if known is None:
            remedy = (
                "pass base='resnet18', a name of create_model; base='package.module:function' with"
                f" base_kwargs={{...}}, which makes it; or base={GIVEN!r} if load() is to be handed"
                " the network"
            )
            got = Words(type(model).__name__)
            rule = "a model made by foveate.create_model, or base="
            raise ValueError(expected(who, rule, got, remedy))
        return {**named_defaults(), **known, **_now(model)} if "name" in known else known
    given = plain(dict(arguments or {}), "save (base_kwargs)")
    path = base if isinstance(base, str) else _path_of(base)
    if path == GIVEN:
        if given:
            raise ValueError(expected(who, f"no base_kwargs with base={GIVEN!r}", given))
        return {GIVEN: type(model).__name__}
    if ":" not in path:
        return _named(path, given)
    _check_path(path, who)
    if path.startswith("__main__:"):
        remedy = f"put it into a module, or pass base={GIVEN!r}"
        raise ValueError(expected(who, f"{_FORM} that other processes find", path, remedy))
    return {"import": path, "arguments": given}


def _now(model: nn.Module) -> dict[str, int]:
    """What timm's ``reset_classifier`` changes of a network after it was made."""
    classes = getattr(model, "num_classes", None)
    return {"num_classes": classes} if type(classes) is int and classes > 0 else {}


def _path_of(base: Any) -> str:
    path = _named_path(base)
    if path is None or not callable(base) or isinstance(base, nn.Module):
        raise TypeError(expected("save", f"base as a name, or {_FORM}", Words(repr(base)[:200])))
    return path


def _named_path(base: Any) -> str | None:
    """The import path under which a function or a class calls itself."""
    module, name = getattr(base, "__module__", None), getattr(base, "__qualname__", None)
    return f"{module}:{name}" if module and name else None


def _named(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    defaults = named_defaults()
    for argument in arguments:
        if argument not in defaults:
            rule = f"base_kwargs of create_model ({', '.join(defaults)})"
            remedy = f"{name!r} is read as a name of create_model; {_FORM} holds a colon"
            raise ValueError(expected("save", rule, argument, remedy))
    return {"name": name, **defaults, **arguments}


def named_defaults() -> dict[str, Any]:
    """What is written of a network of ``create_model`` beside its name, as it is by default."""
    parameters = inspect.signature(base_network).parameters.values()
    left_out = ("name", "pretrained")
    return {one.name: one.default for one in parameters if one.name not in left_out}


def _check_path(path: str, who: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(expected(who, _FORM, path))


def build_base(
    spec: dict[str, Any], base: Base | None, trust: str | Collection[str], who: str
) -> nn.Module:
    """Make, or take, the base network that a file describes.

    Nothing is imported unless ``trust`` names the very path.

    Raises:
        ValueError: If the description is malformed, the path is not trusted, or what it names
            returns no network.
        ImportError: If it cannot be imported.
    """
    fields = Fields(spec, f"{SPEC} at model", who)
    if isinstance(base, nn.Module):
        model = base
    elif "import" in fields:
        path, arguments = fields.text("import"), fields.mapping("arguments")
        fields.end()
        model = (base or _imported(path, trust, who))(**arguments)
    elif base is not None:
        model = base()
    elif GIVEN in fields:
        name = fields.text(GIVEN)
        fields.end()
        remedy = "make it as before, and pass load(folder, base=network)"
        got = Words(f"none, and the folder holds attentions and weights of a {name} alone")
        raise ValueError(expected(who, "the network itself", got, remedy))
    else:
        return base_network(**_read_named(fields))
    if not isinstance(model, nn.Module):
        got = Words(f"{type(model).__name__} of {base or spec['import']}")
        raise ValueError(expected(who, "a base that returns a torch.nn.Module", got))
    if not hasattr(model, "foveate_spec"):
        # A path in a file that the caller did not consent to must not be imported when the model
        # is saved again.
        consented = base is None or (callable(base) and spec.get("import") == _named_path(base))
        told: Any = spec if consented else {GIVEN: type(model).__name__}
        model.foveate_spec = told
    return model


def _read_named(fields: Fields) -> dict[str, Any]:
    """Check what goes to :func:`base_network`, which checks the values."""
    width = fields.anything("width")
    if isinstance(width, bool) or not isinstance(width, (int, float)):
        raise ValueError(expected(fields.who, f"a number as 'width' in {fields.where}", width))
    head = fields.anything("head")
    read = {
        "name": fields.text("name"),
        "num_classes": fields.whole("num_classes", 1),
        "stem": fields.text("stem"),
        "width": width,
        "in_chans": fields.whole("in_chans", 1),
        "output_stride": fields.whole("output_stride", 1),
        "head": None if head is None else str(head),
    }
    fields.end()
    return read


def _imported(path: str, trust: str | Collection[str], who: str) -> Callable[..., nn.Module]:
    """Import what builds the network, if the caller said so."""
    _check_path(path, who)
    trusted = [trust] if isinstance(trust, str) else list(trust)
    if path not in trusted:
        remedy = (
            "importing runs the code of that package, and calling it does what it does, with your"
            f" rights: if you know it and trust it, pass trust={path!r}; or make the network"
            " yourself and pass base="
        )
        got = Words(f"trust={trust!r}" if trusted else "none")
        rule = f"your consent to import {path!r}, which the folder names as its network"
        raise ValueError(expected(who, rule, got, remedy))
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise ImportError(expected(who, f"{part!r} in {module}", Words("nothing of that name")))
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(expected(who, f"something to call at {path}", Words(type(found).__name__)))
    made: Callable[..., nn.Module] = found
    return made

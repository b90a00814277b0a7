"""Names for gated networks in timm's registry, beside its own, which stay what they are."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import importlib
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from foveate.attention import attention_spec
from foveate.core import Words, expected, require, suggest
from foveate.integrations.timm import foveate as home
from foveate.integrations.timm.building import Gated, without_weights

NETWORKS = ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2_100")
"""The networks of the paper."""

ATTENTIONS = ("das", "das_lite")
"""The gate of the paper, as published and within its published cost."""

_WHO = "foveate.integrations.timm.register"


def register(networks: str | Iterable[str], attentions: str | Iterable[str] = "das") -> list[str]:
    """Give gated networks names in timm's registry.

    ``register("convnext_tiny", "se")`` makes ``convnext_tiny.se`` and ``convnext_tiny_se`` known.
    Nothing of timm's own changes: ``convnext_tiny`` is still listed and made as before, its
    published weights too. The tags of the base's weights are those of the gated architecture
    (``convnext_tiny_se.fb_in1k``), and none of them counts as pretrained in timm's lists, for
    nobody has published weights of gated networks; what ``pretrained=True`` loads is said in
    :meth:`~foveate.integrations.timm.building.Gated.build`. Names that are known already are left.

    Args:
        networks: Architectures of timm, or patterns of them (``"resnet*"``).
        attentions: Registry names of foveate.

    Returns:
        The names with a tag, such as ``"convnext_tiny.se"``.

    Raises:
        ValueError: If a network or an attention is unknown, or timm has an architecture of the
            new name already.
        ImportError: If timm is missing.

    Example:
        >>> register("resnet14t", ["se", "eca"])
        ['resnet14t.se', 'resnet14t.eca']
    """
    timm: Any = require("timm", "models", _WHO)
    registry: Any = importlib.import_module("timm.models._registry")
    patterns = [networks] if isinstance(networks, str) else list(networks)
    bases = [base for pattern in patterns for base in _bases(timm, pattern)]
    wanted = [attentions] if isinstance(attentions, str) else list(attentions)
    specs = [attention_spec(name) for name in wanted]
    named = dict.fromkeys(spec.name for spec in specs)
    pairs = [(base, name) for base in dict.fromkeys(bases) for name in named]
    new = [(base, name) for base, name in pairs if f"{base}_{name}" not in home.default_cfgs]
    for base, name in new:
        if timm.is_model(f"{base}_{name}"):
            got = Words(f"{base}_{name}, which timm has")
            raise ValueError(expected(_WHO, "names that are free in timm's registry", got))
    for base, name in new:
        _register(registry, Gated(base, name, _plain(registry, base)))
    return [f"{base}.{name}" for base, name in pairs]


def _bases(timm: Any, pattern: str) -> list[str]:
    """The architectures of timm's own under a name or a pattern."""
    known = [name for name in timm.list_models() if name not in home.default_cfgs]
    found = fnmatch.filter(known, pattern)
    if not found:
        rule = "architectures of timm without a tag, or a pattern of them"
        raise ValueError(expected(_WHO, rule, pattern, suggest(pattern, known, limit=5)))
    return found


def _plain(registry: Any, base: str) -> Callable[..., nn.Module]:
    """What makes the base: timm's own function."""
    found: Callable[..., nn.Module] = registry._model_entrypoints[base]
    return getattr(found, "plain", found)


def _register(registry: Any, gated: Gated) -> None:
    """Register a gated architecture, and its tag of the base."""

    def make(pretrained: bool = False, **arguments: Any) -> nn.Module:
        return gated.build(pretrained, **arguments)

    make.__name__ = make.__qualname__ = gated.name
    make.__module__ = home.__name__
    make.__doc__ = f"{gated.base} with {gated.attention}, see foveate.integrations.timm."
    setattr(home, gated.name, make)
    home.default_cfgs[gated.name] = _configs(registry, gated)
    registry.register_model(make)
    tagged = f"{gated.base}.{gated.attention}"
    default = registry._model_pretrained_cfgs[gated.name]
    registry._model_pretrained_cfgs[tagged] = dataclasses.replace(default, tag=gated.attention)
    registry._model_with_tags[gated.base].append(tagged)
    there = registry._model_entrypoints[gated.base]
    if not hasattr(there, "gates"):
        there = registry._model_entrypoints[gated.base] = _switch(there)
    there.gates[gated.attention] = make


def _configs(registry: Any, gated: Gated) -> Any:
    """The configurations of the base for the gated architecture, without weights."""
    base = registry._model_default_cfgs.get(gated.base)
    if base is None:
        pretrained: Any = importlib.import_module("timm.models._pretrained")
        plain = pretrained.PretrainedCfg()
        return pretrained.DefaultCfg(tags=deque([""]), cfgs={"": plain})
    cfgs = {tag: without_weights(cfg) for tag, cfg in base.cfgs.items()}
    return type(base)(tags=deque(base.tags), cfgs=cfgs, is_pretrained=False)


def _switch(plain: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Make the function of a base pass calls on that carry the tag of an attention.

    timm looks functions up by architecture alone and hands the tag to them.
    """
    gates: dict[str, Callable[..., nn.Module]] = {}

    @functools.wraps(plain)
    def make(*args: Any, **arguments: Any) -> nn.Module:
        given = arguments.get("pretrained_cfg")
        gate = gates.get(_tag(given))
        if gate is None:
            return plain(*args, **arguments)
        return gate(*args, **{**arguments, "pretrained_cfg": _untagged(given)})

    make.plain, make.gates = plain, gates  # type: ignore[attr-defined]
    return make


def _tag(config: Any) -> str:
    """The tag of what timm hands to a function: the tag itself, or a configuration."""
    if isinstance(config, dict):
        return str(config.get("tag") or "")
    return str(config if isinstance(config, str) else getattr(config, "tag", None) or "")


def _untagged(config: Any) -> Any:
    """The same without the tag, which names an attention and no weights."""
    if isinstance(config, str):
        return None
    if isinstance(config, dict):
        return {**config, "tag": None}
    return dataclasses.replace(config, tag=None)

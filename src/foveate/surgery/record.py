"""What was inserted into a network, as plain values that rebuild it in another process.

It is read off the network itself, its hooks and holders, and kept nowhere beside it: so it follows
copies, several insertions and the removal of some of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from foveate.attention.place import Memory
from foveate.core import Words, expected
from foveate.core.strict_json import plain
from foveate.surgery.attach import ApplyBeforeHook, ApplyHook, CallCounter, ShowHook
from foveate.surgery.compiled import refuse_wrapped
from foveate.surgery.holder import Asked, Inserted, Origin, iter_inserted
from foveate.surgery.host import changed_layers
from foveate.surgery.instead import InsteadOfConv2d, standing_in

MEMORY = "memory"
"""The option by which attentions share a memory; in a record it is the number of one."""


@dataclass
class _Hung:
    """Where the hooks of one attention hang."""

    path: str
    before: list[Any] | None = None
    shown: str | None = None


def describe(model: nn.Module, who: str = "save") -> dict[str, Any]:
    """Describe every insertion of a network by values that JSON holds.

    Args:
        model: A network with or without inserted attentions.
        who: Who asks, for errors.

    Returns:
        ``insertions``, in the order in which they were made, each with ``attention``, ``options``,
        ``where``, ``start``, ``position``, ``example`` (shapes) and ``sites``: ``name``, ``path``,
        ``child`` (name of the holder), ``at``, ``channels``, ``fitted`` (options that the place
        asked for), ``before`` (an activation and the number of its call) and ``shown`` (a block).
        ``hosts``: by the name of a change to the network itself the layers that it changed.

    Raises:
        ValueError: If an attention was inserted as a callable, so that no name rebuilds it, or an
            option is nothing that JSON holds.
        TypeError: If the model is wrapped or compiled.

    Example:
        >>> from foveate.surgery import insert_
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        >>> _ = insert_(net, "se", ["1"], example=torch.zeros(1, 3, 8, 8))
        >>> found = describe(net)["insertions"][0]
        >>> found["attention"], found["sites"][0]["path"]
        ('se', '1')
    """
    refuse_wrapped(model, who, "take the model inside: .module or ._orig_mod")
    hung = _hung(model)
    memories: dict[int, int] = {}
    groups: dict[int, tuple[Asked, list[dict[str, Any]]]] = {}
    opened: dict[int, bool] = {}
    for path, holder in iter_inserted(model):
        origin = _origin(holder, path, who)
        if holder not in hung:
            got = Words(f"one at {path} that was taken off by hand")
            raise ValueError(expected(who, "attentions that hang where they were inserted", got))
        _, sites = groups.setdefault(id(origin.asked), (origin.asked, []))
        opened[id(origin.asked)] = holder.openness is not None
        sites.append(_site(hung[holder], path, holder, origin, memories, who))
    ordered = sorted(groups.values(), key=lambda group: group[0].number)
    return {
        "insertions": [
            _insertion(asked, sites, opened[id(asked)], who) for asked, sites in ordered
        ],
        "hosts": changed_layers(model),
    }


def _hung(model: nn.Module) -> dict[Inserted, _Hung]:
    found: dict[Inserted, _Hung] = {}
    shown: dict[Inserted, str] = {}
    counted: dict[Inserted, list[Any]] = {}
    for path, module in model.named_modules():
        for hook in [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]:
            owner = getattr(hook, "__self__", hook)
            if isinstance(owner, ShowHook):
                shown[owner.inserted] = path
            elif isinstance(owner, CallCounter) and hook.__name__ == "count":
                counted[owner.inserted] = [path, owner.calls]
            elif isinstance(owner, (ApplyHook, ApplyBeforeHook, CallCounter)):
                found[owner.inserted] = _Hung(path)
        if isinstance(module, InsteadOfConv2d):
            found[standing_in(module)] = _Hung(path)
    for holder, hung in found.items():
        hung.before, hung.shown = counted.get(holder), shown.get(holder)
    return found


def _origin(holder: Inserted, path: str, who: str) -> Origin:
    origin = holder.origin
    if origin is None or origin.asked.attention is None:
        got = Words(f"{holder.attention_name} at {path}, a callable")
        remedy = (
            "register its class (foveate.attention.register) and insert it by name, or save"
            " state_dict() by safetensors yourself"
        )
        raise ValueError(expected(who, "attentions inserted by registry name", got, remedy))
    return origin


def _site(
    hung: _Hung,
    path: str,
    holder: Inserted,
    origin: Origin,
    memories: dict[int, int],
    who: str,
) -> dict[str, Any]:
    fitted = dict(origin.fitted)
    if isinstance(fitted.get(MEMORY), Memory):
        fitted[MEMORY] = memories.setdefault(id(fitted[MEMORY]), len(memories))
    return {
        "name": holder.site,
        "path": hung.path,
        "child": path.rpartition(".")[2],
        "at": holder.at,
        "channels": origin.channels,
        "fitted": plain(fitted, f"{who} (options of {holder.attention_name})"),
        "before": hung.before,
        "shown": hung.shown,
    }


def _insertion(asked: Asked, sites: list[dict[str, Any]], opened: bool, who: str) -> dict[str, Any]:
    return {
        "attention": asked.attention,
        "options": plain(asked.options, f"{who} (options of {asked.attention})"),
        "where": asked.where if isinstance(asked.where, str) else list(asked.where),
        "start": "identity" if opened else "paper",
        "position": asked.position,
        "example": [list(shape) for shape in asked.example],
        "sites": sites,
    }

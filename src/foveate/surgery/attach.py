"""How an attention hangs on a module: a forward hook, and a child that holds the weights.

Nothing is wrapped or replaced, so names, state-dict keys, aliases and hooks of the network stay
as they were, and a stage that is run block by block (gradient checkpointing, feature extraction)
still runs its attention.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from foveate.surgery.compiled import make_compiler_see_hooks

CHILD = "foveate"
"""Name of the child that holds an inserted attention; a number follows where it is taken."""

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Inserted(nn.Module):
    """Holder of an inserted attention, next to the weights of the network.

    Calling it returns its argument: a host that runs all its children in turn passes through it
    unharmed. The attention itself is applied by the hook.

    Args:
        name: Name of the attention.
        site: Name of the site.
        attention: The module f.
        identity: Whether to start as identity: the output is x + openness * (f(x) - x) with an
            openness that starts at 0.
    """

    def __init__(self, name: str, site: str, attention: nn.Module, identity: bool) -> None:
        super().__init__()
        self.attention_name, self.site = name, site
        self.attention = attention
        self.openness = nn.Parameter(torch.zeros(())) if identity else None
        self.fills = True

    def forward(self, x: Any, *_: Any, **__: Any) -> Any:
        """Return the argument."""
        return x

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come back from a pickle, whose process may not have inserted anything itself."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        make_compiler_see_hooks()

    def apply_to(self, x: Tensor) -> Tensor:
        """Apply the attention to the output of the site."""
        out: Tensor = self.attention(x)
        return out if self.openness is None else x + self.openness * (out - x)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Keep the weights where a checkpoint knows nothing of them, so that it loads strictly.

        All or nothing: a checkpoint that holds a part of them is still refused, and so is one that
        holds other attentions of the network (see :class:`AllOrNothing`).
        """
        fills, self.fills = self.fills, True
        if fills and not any(key.startswith(prefix) for key in state_dict):
            # Filled in before the children load, which read the same dictionary.
            state_dict.update({f"{prefix}{key}": value for key, value in self.state_dict().items()})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class AllOrNothing:
    """A hook of the network that sees whether a checkpoint knows some of its attentions.

    If it does, those that it lacks are missing keys like any others: a checkpoint of one gated
    network must not pass for one of another.
    """

    def __call__(self, module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
        """Decide for every attention below, before its own weights are loaded."""
        holders = list(iter_inserted(module))
        known = any(
            key.startswith(f"{prefix}{path}.") for key in state_dict for path, _holder in holders
        )
        for _path, holder in holders:
            holder.fills = not known


class ApplyHook:
    """The forward hook of a site; an object so that copies and pickles carry their own weights."""

    def __init__(self, inserted: Inserted) -> None:
        self.inserted = inserted

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """Replace the output of the site."""
        return self.inserted.apply_to(output)


class CallCounter:
    """Pre-hooks that apply an attention to the input of one call of a module.

    A block may run one activation several times; the last call is the one after the addition.
    ``restart`` hangs on the block, ``count`` on its activation.
    """

    def __init__(self, inserted: Inserted, call: int) -> None:
        self.inserted, self.call, self.seen = inserted, call, 0

    def restart(self, module: nn.Module, args: Any) -> None:
        """Begin a new pass of the block."""
        self.seen = 0

    def count(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Replace the input if this is the call."""
        self.seen += 1
        return (self.inserted.apply_to(args[0]), *args[1:]) if self.seen == self.call else None


def is_plain_container(module: nn.Module) -> bool:
    """Whether a module does nothing of its own: a list, a dictionary, or a plain sequence."""
    if isinstance(module, nn.Sequential):
        return type(module).forward is nn.Sequential.forward
    bare = nn.Module.forward
    return isinstance(module, _CONTAINERS) and type(module).forward is bare


def last_of(module: nn.Module) -> nn.Module:
    """The module whose output is that of ``module``: the last one of a plain sequence, or itself.

    Hooks go there because a sequence may be run child by child without being called.
    """
    while isinstance(module, nn.Sequential) and is_plain_container(module) and len(module):
        module = list(module)[-1]
    return module


def attach(
    target: nn.Module, inserted: Inserted, before: tuple[nn.Module, int] | None = None
) -> None:
    """Hang ``inserted`` on the output of ``target``.

    Args:
        target: The module of the site.
        inserted: The holder of the attention.
        before: An activation inside ``target`` and the number of its call (from 1) whose input
            is to pass through the attention instead.
    """
    holder = _holder(target)
    names = itertools.chain([CHILD], (f"{CHILD}{number}" for number in itertools.count(2)))
    holder.add_module(next(name for name in names if not hasattr(holder, name)), inserted)
    if before is None:
        target.register_forward_hook(ApplyHook(inserted))
        return
    counter = CallCounter(inserted, before[1])
    target.register_forward_pre_hook(counter.restart)
    before[0].register_forward_pre_hook(counter.count)


def _holder(target: nn.Module) -> nn.Module:
    """The module that takes the child: containers run their children, so it goes deeper."""
    while isinstance(target, _CONTAINERS):
        children = [child for child in target.children() if not isinstance(child, Inserted)]
        if not children:
            break
        target = children[-1]
    return target


def inserted_at(target: nn.Module) -> Inserted | None:
    """The attention that hangs on ``target``, or None."""
    hooks = [*target._forward_hooks.values(), *target._forward_pre_hooks.values()]
    return next((found for hook in hooks if (found := _inserted_by(hook))), None)


def _inserted_by(hook: Any) -> Inserted | None:
    """What a hook applies if it is one of ours."""
    owner = getattr(hook, "__self__", hook)
    return owner.inserted if isinstance(owner, (ApplyHook, CallCounter)) else None


def detach_all(model: nn.Module) -> list[Inserted]:
    """Take every inserted attention out; the model is then as it was."""
    removed: dict[Inserted, None] = {}
    for module in list(model.modules()):
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                found = _inserted_by(hook)
                if found is not None:
                    del hooks[key]
                    removed[found] = None
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, Inserted):
                del module._modules[name]
        for key, wrapped in list(module._load_state_dict_pre_hooks.items()):
            if isinstance(getattr(wrapped, "hook", None), AllOrNothing):
                del module._load_state_dict_pre_hooks[key]
    return list(removed)


def guard_loading(model: nn.Module) -> None:
    """Hang :class:`AllOrNothing` on a network, once."""
    wrapped = model._load_state_dict_pre_hooks.values()
    if not any(isinstance(getattr(one, "hook", None), AllOrNothing) for one in wrapped):
        model.register_load_state_dict_pre_hook(AllOrNothing())  # type: ignore[no-untyped-call]


def is_inserted_path(path: str) -> bool:
    """Whether a dotted name leads into an inserted attention."""
    return any(re.fullmatch(rf"{CHILD}\d*", part) for part in path.split("."))


def iter_inserted(model: nn.Module) -> Iterator[tuple[str, Inserted]]:
    """Every inserted attention with the path of its holder."""
    for path, module in model.named_modules():
        if isinstance(module, Inserted):
            yield path, module

"""How an attention hangs on a module: a hook, and a child that holds the weights.

Nothing is wrapped, and a replaced convolution changes its class alone, so names, state-dict keys,
aliases and hooks of the network stay as they were, and a stage that is run block by block
(gradient checkpointing, feature extraction) still runs its attention.
"""

from __future__ import annotations

import itertools
from typing import Any

from torch import Tensor, nn

from foveate.surgery.holder import CHILD, INPUT, INSTEAD, AllOrNothing, Inserted
from foveate.surgery.instead import InsteadOfConv2d, stand_in, standing_in, step_back

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class ApplyHook:
    """The forward hook of a site; an object so that copies and pickles carry their own weights."""

    def __init__(self, inserted: Inserted) -> None:
        self.inserted = inserted

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """Replace the output of the site."""
        return self.inserted.apply_to(output)


class ApplyBeforeHook:
    """The forward pre-hook of a site at the input of a module."""

    def __init__(self, inserted: Inserted) -> None:
        self.inserted = inserted

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Replace the first argument of the site."""
        return (self.inserted.apply_to(args[0]), *args[1:])


class ShowHook:
    """The forward pre-hook of a block that shows its input to an attention inside."""

    def __init__(self, inserted: Inserted) -> None:
        self.inserted = inserted

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Show the first argument of the block."""
        self.inserted.attention.see_input(args[0])  # type: ignore[operator]


_OURS = (ApplyHook, ApplyBeforeHook, ShowHook)


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
    target: nn.Module,
    inserted: Inserted,
    before: tuple[nn.Module, int] | None = None,
    shown: nn.Module | None = None,
) -> None:
    """Hang ``inserted`` on ``target``, where its ``at`` says.

    Args:
        target: The module of the site.
        inserted: The holder of the attention.
        before: An activation inside ``target`` and the number of its call (from 1) whose input
            is to pass through the attention instead.
        shown: A block whose input the attention is to be shown.
    """
    holder = _holder(target)
    names = itertools.chain([CHILD], (f"{CHILD}{number}" for number in itertools.count(2)))
    holder.add_module(next(name for name in names if not hasattr(holder, name)), inserted)
    if shown is not None:
        shown.register_forward_pre_hook(ShowHook(inserted))
    if inserted.at == INSTEAD:
        stand_in(target, inserted)
    elif inserted.at == INPUT:
        target.register_forward_pre_hook(ApplyBeforeHook(inserted))
    elif before is None:
        target.register_forward_hook(ApplyHook(inserted))
    else:
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


def inserted_at(target: nn.Module, at: str) -> Inserted | None:
    """The attention that sits at one side of ``target``, or None."""
    hooks = [*target._forward_hooks.values(), *target._forward_pre_hooks.values()]
    found = [_inserted_by(hook) for hook in hooks if not isinstance(hook, ShowHook)]
    # The one that stands in for a convolution hangs on no hook.
    found += [standing_in(target)] if isinstance(target, InsteadOfConv2d) else []
    return next((one for one in found if one is not None and one.at == at), None)


def _inserted_by(hook: Any) -> Inserted | None:
    """What a hook applies if it is one of ours."""
    owner = getattr(hook, "__self__", hook)
    return owner.inserted if isinstance(owner, (*_OURS, CallCounter)) else None


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
        if isinstance(module, InsteadOfConv2d):
            removed[standing_in(module)] = None
            step_back(module)
        for name, child in list(module._modules.items()):
            if isinstance(child, Inserted):
                del module._modules[name]
        for key, wrapped in list(module._load_state_dict_pre_hooks.items()):
            if isinstance(getattr(wrapped, "hook", None), AllOrNothing):
                del module._load_state_dict_pre_hooks[key]
    return list(removed)

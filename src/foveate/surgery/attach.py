"""How an attention hangs on a module: a hook, and a child that holds the weights.

Nothing is wrapped, and a replaced convolution changes its class alone, so names, state-dict keys,
aliases and hooks of the network stay as they were, and a stage that is run block by block
(gradient checkpointing, feature extraction) still runs its attention.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any, cast

from torch import Tensor, nn

from foveate.surgery.holder import CHILD, INPUT, INSTEAD, Inserted, unguard_loading
from foveate.surgery.instead import InsteadOfConv2d, stand_in, standing_in, step_back

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class _Hook:
    """A hook of an attention; an object so that copies and pickles carry their own weights."""

    def __init__(self, inserted: Inserted) -> None:
        self.inserted = inserted


class ApplyHook(_Hook):
    """The forward hook of a site."""

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        """Replace the output of the site."""
        return self.inserted.apply_to(output)


class ApplyBeforeHook(_Hook):
    """The forward pre-hook of a site at the input of a module."""

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Replace the first argument of the site."""
        return (self.inserted.apply_to(args[0]), *args[1:])


class ShowHook(_Hook):
    """The forward pre-hook of a block that shows its input to an attention inside."""

    def __call__(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        """Show the first argument of the block."""
        self.inserted.attention.see_input(args[0])  # type: ignore[operator]


class CallCounter(_Hook):
    """Pre-hooks that apply an attention to the input of the last call of an activation.

    A block may run one activation several times; the last call is the one after the addition.
    ``restart`` hangs on the block, ``count`` on its activation. A symbolic trace sees the first
    and not the second, so the count begins anew by itself after ``calls`` of them.
    """

    def __init__(self, inserted: Inserted, calls: int) -> None:
        super().__init__(inserted)
        self.calls, self.seen = calls, 0

    def restart(self, module: nn.Module, args: Any) -> None:
        """Begin a new pass of the block, the last of which may have broken off."""
        self.seen = 0

    def count(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Replace the input if this is the call."""
        self.seen = self.seen % self.calls + 1
        return (self.inserted.apply_to(args[0]), *args[1:]) if self.seen == self.calls else None


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
    parked: tuple[str, ...] = (),
    child: str | None = None,
) -> None:
    """Hang ``inserted`` on ``target``, where its ``at`` says.

    Args:
        target: The module of the site.
        inserted: The holder of the attention.
        before: An activation inside ``target`` and the number of its call (from 1) whose input
            is to pass through the attention instead.
        shown: A block whose input the attention is to be shown.
        parked: Weights of ``target`` that nothing needs while the attention stands in for it.
        child: Name of the child that holds it; None takes the first that is free.
    """
    holder = holder_of(target)
    names = itertools.chain([CHILD], (f"{CHILD}{number}" for number in itertools.count(2)))
    free = (name for name in names if not hasattr(holder, name))
    holder.add_module(child or next(free), inserted)
    if shown is not None:
        shown.register_forward_pre_hook(ShowHook(inserted))
    if inserted.at == INSTEAD:
        stand_in(target, parked)
    elif inserted.at == INPUT:
        target.register_forward_pre_hook(ApplyBeforeHook(inserted))
    elif before is None:
        target.register_forward_hook(ApplyHook(inserted))
    else:
        counter = CallCounter(inserted, before[1])
        target.register_forward_pre_hook(counter.restart)
        before[0].register_forward_pre_hook(counter.count)


def holder_of(target: nn.Module) -> nn.Module:
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
    return owner.inserted if isinstance(owner, _Hook) else None


def detach(model: nn.Module, only: Collection[Inserted] | None = None) -> list[Inserted]:
    """Take inserted attentions out, all of them or some; without any the model is as it was."""

    def goes(found: Inserted | None) -> bool:
        return found is not None and (only is None or found in only)

    removed: dict[Inserted, None] = {}
    for module in list(model.modules()):
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if goes(_inserted_by(hook)):
                    del hooks[key]
                    removed[cast(Inserted, _inserted_by(hook))] = None
        if isinstance(module, InsteadOfConv2d) and goes(standing_in(module)):
            removed[standing_in(module)] = None
            step_back(module)
    for module in list(model.modules()):
        for name, child in list(module._modules.items()):
            if isinstance(child, Inserted) and goes(child):
                del module._modules[name]
    unguard_loading(model)
    return list(removed)

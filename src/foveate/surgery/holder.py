"""The holder of an inserted attention: a child of the network that leaves its weights alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from foveate.surgery.compiled import make_compiler_see_hooks

CHILD = "foveate"
"""Name of the child that holds an inserted attention; a number follows where it is taken."""

_NEXT_HOOK = "foveate_next_hook"

OUTPUT, INPUT, INSTEAD = "output", "input", "instead"
"""Where an attention sits at its module: after it, before it, or in its place."""


@dataclass(frozen=True)
class Asked:
    """What one insertion was asked for; all its holders share it.

    Attributes:
        attention: Registry name; None for a callable of one's own.
        options: Options of the attention as they were given.
        where: Description of the sites, or patterns.
        position: ``"after"`` or ``"before"`` the last activation.
        example: Shapes of the tensors that the network was shown.
        number: Above that of every insertion that was there before.
    """

    attention: str | None
    options: dict[str, Any]
    where: str | tuple[str, ...]
    position: str
    example: tuple[tuple[int, ...], ...]
    number: int


@dataclass(frozen=True)
class Origin:
    """From what an inserted attention was made, so that it can be made again.

    Attributes:
        asked: The insertion it belongs to.
        channels: Channels C of the map it sees.
        fitted: The further options that its place asked for.
    """

    asked: Asked
    channels: int
    fitted: dict[str, Any] = field(default_factory=dict)


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
        at: ``OUTPUT`` or ``INPUT`` of its module, or ``INSTEAD`` of it.
        borrows: Whether, instead of a convolution, it works with that one's weights.
        origin: From what the attention was made.

    Attributes:
        added: Parameters that the network has more with it.
    """

    def __init__(
        self,
        name: str,
        site: str,
        attention: nn.Module,
        identity: bool,
        at: str = OUTPUT,
        borrows: bool = False,
        origin: Origin | None = None,
    ) -> None:
        super().__init__()
        self.attention_name, self.site, self.origin = name, site, origin
        self.at, self.borrows, self.added = at, borrows, 0
        self.attention = attention
        self.openness = nn.Parameter(torch.zeros(())) if identity else None
        self.fills = True

    def forward(self, x: Any, *_: Any, **__: Any) -> Any:
        """Return the argument."""
        return x

    def __getstate__(self) -> dict[str, Any]:
        """Take the next number of a hook along."""
        return {**self.__dict__, _NEXT_HOOK: RemovableHandle.next_id}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come back from a pickle, whose process may not have inserted anything itself.

        Its hooks are numbered from 0, and a number given twice would replace ours.
        """
        numbers = (RemovableHandle.next_id, state.pop(_NEXT_HOOK, 0))
        RemovableHandle.next_id = max(numbers)
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        make_compiler_see_hooks()

    def apply_to(self, x: Tensor) -> Tensor:
        """Apply the attention to the map of the site."""
        out: Tensor = self.attention(x)
        if self.openness is None:
            return out
        # In the type of x even where autocast lets the attention return a wider one.
        return (x + self.openness * (out - x)).to(x.dtype)

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


def unguard_loading(model: nn.Module) -> None:
    """Take :class:`AllOrNothing` off a network that has no attention left."""
    if next(iter_inserted(model), None) is not None:
        return
    for module in model.modules():
        for key, wrapped in list(module._load_state_dict_pre_hooks.items()):
            if isinstance(getattr(wrapped, "hook", None), AllOrNothing):
                del module._load_state_dict_pre_hooks[key]

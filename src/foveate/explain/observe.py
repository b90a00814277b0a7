"""Look at a network without leaving a trace: modes, hooks and in-place flags come back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

_HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[nn.Module]:
    """Put ``model`` into eval mode for a while and hand it back exactly as it was.

    Inside, modules that work in place (``nn.ReLU(inplace=True)``) make a new tensor instead: what
    a hook has kept must not be overwritten by the next layer. On leaving, by success or by an
    exception, the train flag of every single module, its in-place flag and its hooks are those of
    before; hooks added inside are removed.

    Args:
        model: Any network; mixed train and eval modes of its parts are kept.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)).train()
        >>> with undisturbed(net):
        ...     print(net.training, net[1].inplace)
        False False
        >>> print(net.training, net[1].inplace)
        True True
    """
    modules = list(model.modules())
    training = [module.training for module in modules]
    in_place = [module for module in modules if getattr(module, "inplace", False) is True]
    hooks: list[tuple[dict[int, Any], dict[int, Any]]] = []
    for module in modules:
        for name in _HOOKS:
            table = getattr(module, name, None)
            if table is not None:
                hooks.append((table, dict(table)))
    try:
        model.eval()
        for module in in_place:
            module.inplace = False  # type: ignore[assignment]
        yield model
    finally:
        for module in in_place:
            module.inplace = True  # type: ignore[assignment]
        for module, mode in zip(modules, training, strict=True):
            module.training = mode
        for table, before in hooks:
            if table.keys() != before.keys():
                table.clear()
                table.update(before)

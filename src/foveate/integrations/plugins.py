"""Every attention as a layer that a framework builds by name, from ``in_channels`` and options."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from foveate.attention import create_attention, list_attentions
from foveate.core import check_choice

PREFIX = "foveate_"
"""Stands before the name of an attention in a registry: ``foveate_das``."""


class Registry(Protocol):
    """What a registry of another framework must be able to do."""

    def register_module(self, name: str, force: bool, module: Any) -> Any:
        """Take a class or a function under a name."""


class AttentionPlugin(nn.Module):
    """An attention as a plug-in layer; its subclasses know which one.

    Args:
        in_channels: Channels C of the map.
        start: ``"paper"``, or ``"identity"``: the attention f becomes ``x + openness * (f(x) - x)``
            with a learned openness that is 0 at first, so a pretrained network is unharmed.
        **options: Options of the attention.

    Shape:
        - x: (N, C, H, W); output: the same.

    Raises:
        ValueError: If an argument or an option is wrong.

    Example:
        >>> PLUGINS["foveate_das"](in_channels=16)(torch.rand(1, 16, 8, 8)).shape
        torch.Size([1, 16, 8, 8])
    """

    attention_name: str

    def __init__(self, in_channels: int, start: str = "paper", **options: Any) -> None:
        super().__init__()
        check_choice(type(self).__name__, "start", start, ("paper", "identity"))
        self.arguments = {"channels": in_channels, **options}
        self.attention = create_attention(self.attention_name, **self.arguments)
        self.openness = nn.Parameter(torch.zeros(())) if start == "identity" else None

    def init_weights(self) -> None:
        """Start afresh, as the attention's own paper does.

        The host initialises all layers by their class before it calls this: a gate whose offsets
        are to start at zero would start at random.
        """
        fresh = create_attention(self.attention_name, **self.arguments)
        self.attention.load_state_dict(fresh.state_dict())
        if self.openness is not None:
            nn.init.zeros_(self.openness)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the attention."""
        out: Tensor = self.attention(x)
        if self.openness is None:
            return out
        return (x + self.openness * (out - x)).to(x.dtype)


def _plugin(name: str) -> type[AttentionPlugin]:
    """Make the plug-in class of an attention; ``_abbr_`` names its children in a block."""
    known = f"{PREFIX}{name}"
    facts = {"__module__": __name__, "attention_name": name, "_abbr_": known}
    return type(known, (AttentionPlugin,), facts)


PLUGINS = {
    f"{PREFIX}{name}": _plugin(name) for name in [*list_attentions(), *list_attentions("ablation")]
}
"""The plug-in class of every attention, by its name in a registry."""

# Where pickles look for them.
globals().update(PLUGINS)


def register_plugins(registry: Registry) -> list[str]:
    """Register the plug-in of every attention; return their names.

    Example:
        >>> class Names(list):
        ...     def register_module(self, name, force, module):
        ...         self.append(name)
        >>> "foveate_das" in register_plugins(Names())
        True
    """
    for name, plugin in PLUGINS.items():
        registry.register_module(name=name, force=True, module=plugin)
    return list(PLUGINS)

"""Deformable attention where a convolutional network should look.

The DAS gate (arXiv:2311.12091), the attentions it is compared with, and their insertion into any
convolutional network. Names are loaded when they are used, so importing this costs nothing.

Example:
    >>> import torch, foveate
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
    >>> done = foveate.insert_(net, "das", ["1"], example=torch.rand(1, 3, 8, 8))
    >>> net(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 8, 16, 16])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveate import accounting, attention, ops, surgery
    from foveate.attention import attention_spec, create_attention, list_attentions
    from foveate.models import create_model, load, save
    from foveate.surgery import Insertion, insert_, plan, remove_

__version__ = "0.1.0"

__all__ = [
    "Insertion",
    "__version__",
    "accounting",
    "attention",
    "attention_spec",
    "create_attention",
    "create_model",
    "insert_",
    "list_attentions",
    "load",
    "ops",
    "plan",
    "remove_",
    "save",
    "surgery",
]

_HOMES = {
    "attention": ("attention_spec", "create_attention", "list_attentions"),
    "models": ("create_model", "load", "save"),
    "surgery": ("Insertion", "insert_", "plan", "remove_"),
}
_PACKAGES = ("accounting", "attention", "data", "export", "models", "ops", "surgery")


def __getattr__(name: str) -> Any:
    for package, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"foveate.{package}"), name)
    if name in _PACKAGES:
        return importlib.import_module(f"foveate.{name}")
    raise AttributeError(f"module 'foveate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

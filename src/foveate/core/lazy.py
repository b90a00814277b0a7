"""Packages whose names load when first used, so that importing one of them costs little."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Args:
        package: Its ``__name__``.
        homes: The module, inside the package, that each public name comes from.

    Example:
        >>> getattr_, dir_ = lazily("foveate.core", {"suggest": "errors"})
        >>> getattr_("suggest").__name__, dir_()
        ('suggest', ['suggest'])
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return load, lambda: list(homes)

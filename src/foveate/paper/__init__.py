"""The paper's tables beside ours: published numbers, costs counted here, and what was run.

Names load when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foveate.paper.tables import TABLES as TABLES
    from foveate.paper.tables import page as page
    from foveate.paper.tables import paper_table as paper_table

_HOMES = {"TABLES": "tables", "page": "tables", "paper_table": "tables"}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(_HOMES)

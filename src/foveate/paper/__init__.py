"""The paper's tables beside ours: published numbers, costs counted here, and what was run.

Names load when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foveate.core.lazy import lazily

if TYPE_CHECKING:
    from foveate.paper.tables import TABLES as TABLES
    from foveate.paper.tables import page as page
    from foveate.paper.tables import paper_table as paper_table

_HOMES = {"TABLES": "tables", "page": "tables", "paper_table": "tables"}

__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazily(__name__, _HOMES)

"""Home of the gated architectures: timm names a family by the last word of its module.

:func:`foveate.integrations.timm.register` puts the functions here that make them, and timm lists
them by ``timm.list_models(module="foveate")``.
"""

from __future__ import annotations

from typing import Any

__all__: list[str] = []

default_cfgs: dict[str, Any] = {}
"""What timm knows of the gated architectures, by name."""

"""Optional packages: imported where they are used, through one door."""

from __future__ import annotations

import importlib
from typing import Any

from foveate.core.errors import MissingExtraError


def require(module: str, extra: str, purpose: str) -> Any:
    """Import ``module``, or say which extra of foveate brings it.

    Args:
        module: Dotted module name.
        extra: The extra that installs it, as in ``pip install "foveate[models]"``.
        purpose: What needs it, read before "needs".

    Raises:
        MissingExtraError: If it is not installed, or is installed but broken (the cause is named).
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        package = module.split(".")[0]
        raise MissingExtraError(
            f'{purpose} needs the package {package}; run `pip install "foveate[{extra}]"`'
            f" (importing {module} failed: {error})"
        ) from error

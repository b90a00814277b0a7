"""Whether the network may be asked for weights: ``HF_HUB_OFFLINE``, for every server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from foveate.core.errors import Words, expected

VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_YES = {"1", "ON", "YES", "TRUE"}


def offline() -> bool:
    """Return whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) forbids the network.

    The hub's own library reads the variable only when it is imported: it is told here, too.
    """
    said = any(os.environ.get(name, "").upper() in _YES for name in VARIABLES)
    hub = sys.modules.get("huggingface_hub.constants")
    if said and hub is not None:
        hub.HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    return said


@contextmanager
def fetching(who: str, what: str) -> Iterator[None]:
    """Turn whatever keeps published weights away into one error.

    Args:
        who: Who asks for them.
        what: What is asked for.

    Raises:
        OSError: If they are neither here nor to be had; it names the cause and the ways out.
    """
    away = offline()
    try:
        yield
    except Exception as error:
        # A wrong name or number is none of the network's doing; the hub's own errors are both.
        plain = isinstance(error, (ImportError, TypeError, ValueError, RuntimeError))
        if plain and not isinstance(error, OSError):
            raise
        raise absent(who, what, away, error) from error


def absent(who: str, what: str, away: bool, error: Exception | str) -> OSError:
    """Return the error for weights that are neither here nor to be had."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    cause = "HF_HUB_OFFLINE is set" if away else "the network was asked"
    remedy = "run once with a network and without HF_HUB_OFFLINE, or load a folder of foveate.save"
    got = Words(f"neither ({cause}; {lines[0]})")
    return OSError(expected(who, f"{what}, here or to be fetched", got, remedy))

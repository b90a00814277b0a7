"""One form for every error: who, what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MissingExtraError(ImportError):
    """A package that comes with an extra of foveate is not installed."""


class Words(str):
    """A description of what came, shown without quotes, where a string is a value."""

    __slots__ = ()


def expected(who: str, rule: str, got: object, remedy: str = "") -> str:
    """Compose an error text, ``<who> expects <rule>; got <got>[; <remedy>]``.

    Args:
        who: The function, class or option that complains.
        rule: What it accepts, read after "expects".
        got: What it was given; a string is quoted unless it is :class:`Words`.
        remedy: What the caller can do about it.

    Example:
        >>> expected("DAS", "channels >= 1", 0)
        'DAS expects channels >= 1; got 0'
    """
    shown = repr(got) if isinstance(got, str) and not isinstance(got, Words) else str(got)
    return f"{who} expects {rule}; got {shown}" + (f"; {remedy}" if remedy else "")


def suggest(name: str, known: Iterable[str], limit: int = 30) -> str:
    """Name the known words near ``name``, then all of them.

    Args:
        name: The word that was not found.
        known: The words that would have been.
        limit: How many of all known words are listed at most.

    Example:
        >>> suggest("dass", ["das", "se"])
        "did you mean 'das'? known: das, se"
    """
    words = sorted(known)
    near = difflib.get_close_matches(name, words, n=3, cutoff=0.5)
    head = "did you mean " + " or ".join(repr(word) for word in near) + "? " if near else ""
    more = f" and {len(words) - limit} more" if len(words) > limit else ""
    return f"{head}known: {', '.join(words[:limit])}{more}"

"""How lists, seeds, options and variants are written on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def words(text: str) -> list[str]:
    """Part words at their commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def seeds_of(text: str) -> int | list[int]:
    """Read ``3`` as a number of seeds and ``3,5`` or ``3,`` as a list of them.

    Raises:
        ValueError: If it is neither.
    """
    from foveate.core import expected

    try:
        return [int(word) for word in words(text)] if "," in text else int(text)
    except ValueError:
        raise ValueError(expected("--seeds", "a number, or numbers with commas", text)) from None


def where_of(text: str | None) -> str | list[str] | None:
    """Read a site with its choices, or patterns of module names."""
    from foveate.surgery import is_where

    return text if text is None or is_where(text) else words(text)


def options_of(pairs: list[str]) -> dict[str, dict[str, Any]]:
    """Read ``das.alpha=0.1`` as ``{"das": {"alpha": 0.1}}``.

    Raises:
        ValueError: If a pair has another form.
    """
    from foveate.core import expected
    from foveate.training.toml import parse_value

    found: dict[str, dict[str, Any]] = {}
    for text in pairs:
        key, equals, value = text.partition("=")
        name, dot, option = key.strip().partition(".")
        if not (equals and dot and name and option):
            remedy = "for example --option das.alpha=0.1"
            raise ValueError(expected("--option", "NAME.KEY=VALUE", text, remedy))
        found.setdefault(name, {})[option] = parse_value(value.strip())
    return found


def variants_of(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Read ``thin=das:alpha=0.02,rounding=ceil`` as a label and what it stands for, each once.

    Raises:
        ValueError: If one has another form, or a label comes twice.
    """
    from foveate.core import expected
    from foveate.training.toml import parse_value

    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        label, equals, rest = text.partition("=")
        label, (name, colon, listed) = label.strip(), rest.partition(":")
        # A comma parts options only before the next KEY=, so that lists keep theirs.
        pairs = re.split(r",(?=\s*\w+\s*=)", listed) if colon else []
        if not (label and equals and name.strip() and all("=" in pair[1:] for pair in pairs)):
            remedy = "for example --variant das-thin=das:alpha=0.02"
            raise ValueError(expected("--variant", "LABEL=NAME:KEY=VALUE,...", text, remedy))
        if label in found:
            raise ValueError(expected("--variant", "every label once", label))
        parted = (pair.partition("=") for pair in pairs)
        options = {key.strip(): parse_value(value.strip()) for key, _, value in parted}
        found[label] = {"attention": name.strip(), "options": options}
        if "where" in options:
            where = options.pop("where")
            found[label]["where"] = where_of(where) if isinstance(where, str) else where
    return found


def slug(text: str) -> str:
    """A short name for a folder: the end of a path, without what file systems dislike."""
    tail = Path(text.split(":")[0]).name or text
    return re.sub(r"[^A-Za-z0-9._-]+", "-", tail).strip("-.") or "data"

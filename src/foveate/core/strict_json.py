"""JSON that may come from anyone: bounded, without surprises, and taken apart field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from foveate.core.errors import Words, expected

LARGEST = 4 * 2**20
"""Bytes that a file may have."""

_DEPTH, _TEXT, _DIGITS = 32, 4096, 18
_SHOWN = 200
_T = TypeVar("_T")


def read_json(path: Path, who: str) -> Any:
    """Read a file of JSON from a source that is not trusted.

    Refused are files of more than ``LARGEST`` bytes, values nested deeper than 32, texts of more
    than 4096 characters, whole numbers of more than 18 digits, NaN and infinity, and a name that
    stands twice in one object, of which readers would take different ones.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is refused.
        OSError: If it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(expected(who, f"a folder with {path.name}", str(path.parent)))
    with path.open("rb") as handle:
        content = handle.read(LARGEST + 1)
    if len(content) > LARGEST:
        got = Words("more")
        raise ValueError(expected(who, f"{path.name} of at most {LARGEST:,} bytes", got))
    try:
        tree = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
        _check_bounds(tree)
    except (ValueError, RecursionError) as error:
        why = Words(error if isinstance(error, ValueError) else "values nested too deep")
        raise ValueError(expected(who, f"a readable {path.name}", why)) from None
    return tree


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {_short_of(twice)} twice in one object")
    return tree


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text}, which is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_DIGITS]}, which is too large")
    return number


def _short(text: str) -> int:
    digits = len(text.lstrip("-"))
    if digits > _DIGITS:
        raise ValueError(f"a whole number of {digits} digits")
    return int(text)


def _check_bounds(tree: Any) -> None:
    """Check depth and texts, without a recursion that the depth could exhaust."""
    level = [tree]
    for _ in range(_DEPTH):
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += [*one, *one.values()]
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str) and len(one) > _TEXT:
                raise ValueError(f"a text of {len(one):,} characters")
        level = below
    if level:
        raise ValueError(f"values nested deeper than {_DEPTH}")


def plain(value: Any, who: str) -> Any:
    """Return ``value`` with tuples as lists if JSON holds the rest as it is.

    Raises:
        TypeError: If it does not.

    Example:
        >>> plain({"kernel": (3, 5)}, "save")
        {'kernel': [3, 5]}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(one, who) for one in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: plain(one, who) for name, one in value.items()}
    rule = "texts, finite numbers, True, False, None, and lists and dictionaries of these"
    raise TypeError(expected(who, rule, Words(_short_of(value))))


class Fields:
    """One object of JSON, from which each field is taken once, by its type.

    Args:
        tree: What was read.
        where: How errors call it.
        who: Who complains.

    Raises:
        ValueError: If it is no object; by each method, if a field is missing or of another type;
            by :meth:`end`, if fields are left.

    Example:
        >>> fields = Fields({"format": 2, "name": "das"}, "model.json", "load")
        >>> fields.whole("format"), fields.text("name"), fields.end()
        (2, 'das', None)
    """

    def __init__(self, tree: Any, where: str, who: str) -> None:
        self.where, self.who = where, who
        if not isinstance(tree, dict):
            self._refuse("", "an object", tree)
        self._left: dict[str, Any] = dict(tree)

    def __contains__(self, name: object) -> bool:
        return name in self._left

    def text(self, name: str) -> str:
        """Take a text."""
        found: str = self._typed(name, "a text", lambda one: isinstance(one, str))
        return found

    def whole(self, name: str, least: int = 0) -> int:
        """Take a whole number of at least ``least``."""
        rule = f"a whole number >= {least}"
        found: int = self._typed(name, rule, lambda one: type(one) is int and one >= least)
        return found

    def mapping(self, name: str) -> dict[str, Any]:
        """Take an object."""
        found: dict[str, Any] = self._typed(name, "an object", lambda one: isinstance(one, dict))
        return found

    def fields(self, name: str) -> Fields:
        """Take an object apart."""
        return Fields(self.mapping(name), f"{self.where} at {name}", self.who)

    def texts(self, name: str) -> list[str]:
        """Take a list of texts."""
        found: list[str] = self._typed(name, "a list of texts", _are_texts)
        return found

    def wholes(self, name: str) -> list[list[int]]:
        """Take a list of lists of whole numbers from 0 on."""
        found: list[list[int]] = self._typed(name, "a list of lists of whole numbers", _are_shapes)
        return found

    def shape(self, name: str) -> list[int] | None:
        """Take a list of whole numbers from 0 on, or null."""
        rule = "a list of whole numbers, or null"
        found: list[int] | None = self._typed(
            name, rule, lambda one: one is None or _are_shapes([one])
        )
        return found

    def each(self, name: str) -> list[Fields]:
        """Take a list of objects apart."""
        listed = self._typed(name, "a list", lambda one: isinstance(one, list))
        return [
            Fields(one, f"{self.where} at {name}[{place}]", self.who)
            for place, one in enumerate(listed)
        ]

    def anything(self, name: str) -> Any:
        """Take whatever it is."""
        return self._typed(name, "a value", lambda _: True)

    def choice(self, name: str, known: tuple[_T, ...]) -> _T:
        """Take one of a few values."""
        rule = "one of " + ", ".join(map(repr, known))
        found: _T = self._typed(
            name, rule, lambda one: any(type(one) is type(k) and one == k for k in known)
        )
        return found

    def _typed(self, name: str, rule: str, fits: Callable[[Any], bool]) -> Any:
        if name not in self._left:
            raise ValueError(expected(self.who, f"{name!r} in {self.where}", Words("none")))
        value = self._left.pop(name)
        if not fits(value):
            self._refuse(f" as {name!r}", rule, value)
        return value

    def end(self) -> None:
        """Refuse what nobody took."""
        if self._left:
            names = Words(", ".join(_short_of(name) for name in sorted(self._left)[:3]))
            remedy = "a newer foveate may have written it"
            raise ValueError(expected(self.who, f"known fields in {self.where}", names, remedy))

    def _refuse(self, field: str, rule: str, value: Any) -> None:
        rule = f"{rule}{field} in {self.where}"
        raise ValueError(expected(self.who, rule, Words(_short_of(value))))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _are_shapes(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(one, list) for one in value):
        return False
    return all(type(side) is int and side >= 0 for one in value for side in one)


def _short_of(value: Any) -> str:
    """Show a value, cut where it is long: an error is no place for a file."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

"""Which rows of a table are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from foveate.core import Words, expected, suggest
from foveate.paper.published import Group, PublishedTable


def chosen_groups(table: PublishedTable, only: tuple[str, ...]) -> list[Group]:
    """The groups of a table that ``only`` names, all if it names none.

    Raises:
        ValueError: If a name is no group of the table; near names are listed.
    """
    groups = {group.name: group for group in table.groups}
    return [groups[name] for name in chosen_names(table.name, groups, only)]


def chosen_names(table: str, names: Iterable[str], only: tuple[str, ...]) -> list[str]:
    """The names that are asked for; case and punctuation do not count.

    Raises:
        ValueError: If one is unknown; near names are listed.

    Example:
        >>> chosen_names("table1", ["ResNet-18", "ResNet-50"], ("resnet50",))
        ['ResNet-50']
    """
    known = {_short(name): name for name in names}
    for name in only:
        if not any(known):
            raise ValueError(
                expected("--rows", "a table with groups", Words(table), "leave it out")
            )
        if _short(name) not in known:
            rule = f"rows of {table}"
            raise ValueError(expected("--rows", rule, name, suggest(_short(name), known)))
    return [known[_short(name)] for name in only] if only else list(known.values())


def _short(name: str) -> str:
    """A name as it is typed: ``ResNet-18`` is ``resnet18``."""
    return "".join(letter for letter in name.lower() if letter.isalnum())

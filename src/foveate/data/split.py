"""Seeded choices of images that hardly move when files come and go."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence


def _rank(name: str, seed: int) -> bytes:
    # A hash of the name instead of a shuffle: adding a file leaves the order of the others alone.
    return hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()


def shuffled(names: Sequence[str], seed: int) -> list[int]:
    """Return the places of ``names`` in a seeded order that depends on each name alone.

    Example:
        >>> sorted(shuffled(["a", "b", "c"], seed=0))
        [0, 1, 2]
    """
    return sorted(range(len(names)), key=lambda place: (_rank(names[place], seed), names[place]))


def _by_label(labels: Sequence[int], names: Sequence[str], seed: int) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = defaultdict(list)
    for place in shuffled(names, seed):
        groups[labels[place]].append(place)
    return groups


def split_places(
    labels: Sequence[int], names: Sequence[str], seed: int, val_share: float = 0.2
) -> tuple[list[int], list[int]]:
    """Split places into train and val, class by class.

    Args:
        labels: Class of each place.
        names: A name of each place that stays the same from run to run.
        seed: Another seed gives another split.
        val_share: Share of each class that goes to val; at least one image of a class of two.

    Returns:
        Ascending places of train and of val; disjoint, together all.
    """
    val: set[int] = set()
    for places in _by_label(labels, names, seed).values():
        wanted = max(1, round(val_share * len(places))) if len(places) > 1 else 0
        val.update(places[:wanted])
    return [place for place in range(len(labels)) if place not in val], sorted(val)


def stratified(labels: Sequence[int], names: Sequence[str], limit: int, seed: int) -> list[int]:
    """Choose ``limit`` places so that the classes keep their shares.

    Each class gets the whole part of its share, and at least one image where the limit allows;
    the largest remainders get what is left. A limit beyond the length chooses all.

    Returns:
        Ascending places.

    Example:
        >>> chosen = stratified([0, 0, 0, 0, 1, 1], list("abcdef"), limit=3, seed=0)
        >>> sum(place < 4 for place in chosen), len(chosen)
        (2, 3)
    """
    if limit >= len(labels):
        return list(range(len(labels)))
    groups = _by_label(labels, names, seed)
    share = {label: limit * len(places) / len(labels) for label, places in groups.items()}
    floor = 1 if limit >= len(groups) else 0
    quota = {label: max(floor, int(part)) for label, part in share.items()}
    # The floor of one can overshoot: take back where most was given beyond the share, but no
    # class's only image.
    while sum(quota.values()) > limit:
        spare = [label for label in quota if quota[label] > floor]
        quota[max(spare, key=lambda label: (quota[label] - share[label], label))] -= 1
    for label in sorted(groups, key=lambda label: (quota[label] - share[label], label)):
        if sum(quota.values()) == limit:
            break
        quota[label] += 1
    return sorted(place for label, places in groups.items() for place in places[: quota[label]])

"""What is wrong in annotations: counted and named, all of it in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN = 5

KINDS = {
    "missing image": "image files that are missing or no images; they are not looked at",
    "size": "images of another size than the file says; boxes are cut to the real one",
    "outside": "boxes that reach outside their image; cut to it",
    "far outside": "boxes wholly outside their image; left out",
    "no area": "boxes without area; left out",
    "malformed box": "boxes that are not four finite numbers; left out",
    "unknown category": "annotations of a category that the file does not have; left out",
    "unknown image": "annotations of an image that the file does not have; left out",
    "repeated image": "images whose id another has; left out",
    "repeated file": "images whose file another has; kept",
    "repeated category": "categories whose id or name another has; left out",
    "repeated annotation": "annotations whose id another has; kept",
    "no id": "annotations without an id; kept",
    "no annotation": "images without an annotation file, or with a broken one; left out",
    "malformed": "entries without what they must have; left out",
    "crowd": "crowds: not trained on, and nothing to find in them",
    "empty": "images without an object; kept",
}
"""What can be found, and what is done about it."""

_HARMLESS = ("crowd", "empty")


class Problems:
    """Counts of what was found, with the first names of each kind.

    Example:
        >>> problems = Problems()
        >>> problems.note("no area", "annotation 7 of a.png")
        >>> print(problems)
        1 boxes without area; left out: annotation 7 of a.png
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, list[str]]] = {}

    def note(self, kind: str, name: str) -> None:
        """Count one of a kind."""
        count, names = self._found.get(kind, (0, []))
        if len(names) < SHOWN:
            names = [*names, name]
        self._found[kind] = count + 1, names

    def count(self, kind: str) -> int:
        """Return how many there are of a kind."""
        return self._found.get(kind, (0, []))[0]

    def __bool__(self) -> bool:
        """Whether anything is wrong; crowds and images without objects are not."""
        return any(kind not in _HARMLESS for kind in self._found)

    def __str__(self) -> str:
        return "\n".join(problem_lines(self.as_dict()))

    def as_dict(self) -> dict[str, Any]:
        """Return ``count`` and the first ``names`` by kind, the wrong before the harmless."""
        return {
            kind: {"count": self._found[kind][0], "names": self._found[kind][1]}
            for kind in KINDS
            if kind in self._found
        }


def problem_lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Put what ``Problems.as_dict`` returned into one line for each kind."""
    lines = []
    for kind, one in found.items():
        more = one["count"] - len(one["names"])
        names = ", ".join(one["names"]) + (f" and {more} more" if more else "")
        lines.append(f"{one['count']} {KINDS[kind]}: {names}")
    return lines

"""Pictures of a folder that go with its published page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from foveate.core.files import write_bytes

_MOST, _SMALL = 3, 200_000


def copy_pictures(
    pictures: Iterable[tuple[Mapping[str, Any], Path | None]], place: Path, name: str
) -> list[dict[str, Any]]:
    """Copy the first pictures that are small enough to ``NAME-1.png`` and so on.

    Args:
        pictures: What is said of each, and where it lies; None if it is gone.
        place: Where the copies go; those of an earlier page of this name are removed.
        name: Name of the page.

    Returns:
        What is said of each copy, ``file`` being its new name.
    """
    for old in place.glob(f"{name}-[0-9].png"):
        old.unlink()
    taken: list[dict[str, Any]] = []
    for said, path in pictures:
        if path is None or path.stat().st_size > _SMALL or len(taken) == _MOST:
            continue
        file = f"{name}-{len(taken) + 1}.png"
        write_bytes(place / file, path.read_bytes())
        taken.append({**said, "file": file})
    return taken

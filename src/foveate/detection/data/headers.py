"""What the head of an image file says, without its pixels being read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foveate.data.coco_turns import stored_size
from foveate.data.files import inside
from foveate.data.images import MAX_BYTES, UnreadableImageError
from foveate.detection.data.table import Size

_HEAD = 1 << 16


@dataclass(frozen=True)
class Header:
    """Size and orientation of an image file.

    Attributes:
        stored: Height and width as the file stores it.
        turn: EXIF orientation, 1 for upright.
    """

    stored: Size
    turn: int = 1

    @property
    def upright(self) -> Size:
        """Height and width as it is shown."""
        return self.stored if self.turn < 5 else (self.stored[1], self.stored[0])


HeaderOf = Callable[[str], Header | None]


def read_header(path: Path) -> Header | None:
    """Read the head of an image file; None if there is none, or it is no image."""
    try:
        if not path.is_file():  # A device would never end.
            return None
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
            try:
                return Header(*stored_size(head))
            except UnreadableImageError:  # A head may be longer than usual.
                more = handle.read(MAX_BYTES) if len(head) == _HEAD else b""
                return Header(*stored_size(head + more)) if more else None
    except (OSError, UnreadableImageError):
        return None


def headers_in(folder: Path) -> HeaderOf:
    """Return what reads the head of a file in ``folder`` by its name."""

    def look(name: str) -> Header | None:
        try:
            return read_header(inside(folder, name))
        except FileNotFoundError:
            return None

    return look

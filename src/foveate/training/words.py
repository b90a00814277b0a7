"""Words for errors that are no values."""

from __future__ import annotations


class Said:
    """A description of what came, shown in an error without the quotes that a string gets.

    Example:
        >>> from foveate.core import expected
        >>> expected("a run", "an empty folder", Said("a finished run"))
        'a run expects an empty folder; got a finished run'
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

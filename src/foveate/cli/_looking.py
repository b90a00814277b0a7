"""What the commands of tasks share: a bar while they look, and the images that they could not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager


def unreadable_lines(lost: Sequence[Mapping[str, str]] | Mapping[str, str]) -> list[str]:
    """Name the images that could not be read, and why.

    Args:
        lost: Entries with ``name`` and ``reason``, or reasons by name.
    """
    if not isinstance(lost, Mapping):
        lost = {one["name"]: one["reason"] for one in lost}
    told = [f"unreadable images, left out: {len(lost)}"] if lost else []
    return told + [f"  {name}: {reason}" for name, reason in lost.items()]


@contextmanager
def looking(quiet: bool, kept: str = "") -> Iterator[Callable[[int, int], None]]:
    """Show how many images are done; yields what is to be told.

    Args:
        quiet: Show nothing.
        kept: What a Ctrl-C leaves behind, in words.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("looking at images"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    console = Console(stderr=True)
    silent = quiet or not console.is_terminal  # Elsewhere a bar would leave an empty line.
    try:
        with Progress(*columns, console=console, transient=True, disable=silent) as bar:
            task = bar.add_task("images", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    except KeyboardInterrupt:
        if not kept:
            raise
        raise KeyboardInterrupt(f"interrupted; {kept}") from None

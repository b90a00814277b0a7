"""What worker processes are at, so that one that dies can tell which image it was reading."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch.utils.data import get_worker_info

from foveate.core import Words, expected

_NOTHING = -1


class Named(Protocol):
    """A data set that can name its images."""

    def name_of(self, index: int) -> str:
        """Return the name of an image."""


class Desks:
    """One line of shared memory for each worker process: its process id and the place it reads."""

    def __init__(self, workers: int) -> None:
        self._lines = torch.full((workers, 2), _NOTHING, dtype=torch.int64)
        self._lines.share_memory_()  # type: ignore[no-untyped-call]

    @contextlib.contextmanager
    def reading(self, index: int) -> Iterator[None]:
        """Note in a worker process that it reads image ``index`` inside."""
        worker = get_worker_info()
        if worker is None or worker.id >= len(self._lines):
            yield
            return
        self._lines[worker.id] = torch.tensor([os.getpid(), index])
        yield
        self._lines[worker.id, 1] = _NOTHING

    def place_of(self, process: int) -> int | None:
        """Return the place that a process was reading, None if it is not known."""
        for owner, place in self._lines.tolist():
            if owner == process and place != _NOTHING:
                return int(place)
        return None


@contextlib.contextmanager
def naming(dataset: Named, index: int) -> Iterator[None]:
    """Name the image in whatever goes wrong inside, beyond what makes an image unreadable.

    Raises:
        ValueError: With the name of the image. Errors of the system name their file themselves.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        got = Words(f"{type(error).__name__}: {error}")
        rule = "an image that can be decoded and transformed"
        raise ValueError(expected(dataset.name_of(index), rule, got)) from error


@contextlib.contextmanager
def told_by(desks: Sequence[Desks], datasets: Sequence[Named]) -> Iterator[None]:
    """Turn the death of a worker process into an error that names the image it was reading.

    Args:
        desks: The desks of the worker processes.
        datasets: What the workers of each read.

    Raises:
        ChildProcessError: If a worker process dies inside.
        ValueError, OSError: For an error inside a worker process, without the traces around it.
    """
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        text = str(error)
        dead = re.search(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)(.*)", text)
        if dead is not None:
            raise ChildProcessError(_obituary(dead[1], dead[2], desks, datasets)) from error
        if re.match(r"Caught \w+ in DataLoader worker process", text):
            _, _, message = text.strip().splitlines()[-1].partition(": ")
            kind = OSError if isinstance(error, OSError) else ValueError
            raise kind(message) from error
        raise


def _obituary(numbers: str, reason: str, desks: Sequence[Desks], datasets: Sequence[Named]) -> str:
    names = []
    for number in numbers.split(","):
        for desk, dataset in zip(desks, datasets, strict=True):
            place = desk.place_of(int(number)) if number.strip() else None
            if place is not None:
                names.append(dataset.name_of(place))
    where = f"while reading {', '.join(names)}" if names else "between two images"
    how = reason.strip(" .,") or "exited unexpectedly"
    return expected(
        "data worker",
        "to live as long as the run",
        Words(f"the death of process {numbers.strip()} {where} ({how})"),
        "look at that image and at the memory: each of data.workers needs its own",
    )

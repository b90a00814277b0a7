"""What every reader is held to: a sound answer or a documented error, soon, in little memory."""

import contextlib
import dataclasses
import resource
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from foveate.core import MissingExtraError
from foveate.data.images import UnreadableImageError

DOCUMENTED = (ValueError, TypeError, OSError, ImportError)
SECONDS = 20.0
"""More of a processor for one small file counts as a hang."""
BYTES = 3 << 30
"""More for one small file counts as a blow-up: the process may map so much beyond what it has."""


@dataclasses.dataclass(frozen=True)
class Reader:
    """Something that reads files.

    Attributes:
        name: What it is called.
        files: What it reads, in words.
        sound: An undamaged input, which must be read without an error.
        strategy: Draws one input, of any kind.
        read: Called with the input and an empty folder.
    """

    name: str
    files: str
    sound: Any
    strategy: Any
    read: Callable[[Any, Path], object]


READERS: dict[str, Reader] = {}


def reader(name, files, sound, strategy):
    """Register a function as what reads a sound input, and those that a strategy draws."""

    def register(read):
        READERS[name] = Reader(name, files, sound, strategy, read)
        return read

    return register


class Finding(AssertionError):
    """A reader that did something else than it says."""


def try_reader(one, content, folder):
    """Let a reader read; anything but a result or a documented error is a finding."""
    begun = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one.read(content, folder)
    except UnreadableImageError:
        pass
    except DOCUMENTED as error:
        if " expects " not in str(error) and not isinstance(error, MissingExtraError):
            raise Finding(f"{one.name}: {type(error).__name__} in other words: {error}") from error
    except Exception as error:
        raise Finding(f"{one.name}: {type(error).__name__}: {error}") from error
    taken = time.process_time() - begun
    if taken > SECONDS:
        raise Finding(f"{one.name}: {taken:.0f} s for one small file")


@contextlib.contextmanager
def little_memory():
    """Let this process map only so much more than it has; beyond that allocations fail."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

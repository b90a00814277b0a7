"""A limit on what a network may take while it is built by values from a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from foveate.core import Words, expected

_TIMES, _BESIDES = 4, 2**26
# So that very many small tensors count too: a module of Python weighs some kilobytes.
_EACH = 1024


class _Ceiling(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every tensor that is about to be made from nothing, by its shape alone."""

    def __init__(self, numbers: int, who: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers, self.who = numbers, who
        self.made, self.limit = 0, _TIMES * numbers + _BESIDES

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation unless it asks for too much."""
        given: Mapping[str, Any] = kwargs or {}
        size = _size_of_new(func, args, given)
        if size:
            self.made += size + _EACH
            if self.made > self.limit:
                raise ValueError(
                    expected(
                        self.who,
                        f"a network for the {self.numbers:,} numbers of its weights",
                        Words(f"one that asks for {size:,} at once, {self.made:,} in all"),
                    )
                )
        return func(*args, **given)


def _size_of_new(func: Any, args: Any, kwargs: Mapping[str, Any]) -> int:
    """How many numbers an operation makes from nothing, 0 for what computes."""
    name = func._schema.name
    if name == "aten::repeat":
        size: int = args[0].numel()
        for times in args[1]:
            size *= times
        return size
    fresh = name.startswith("aten::new_") or not any(isinstance(one, Tensor) for one in args)
    if not fresh or not any(one.name == "device" for one in func._schema.arguments):
        return 0
    made = func(*args, **{**kwargs, "device": torch.device("meta"), "pin_memory": False})
    return made.numel() if isinstance(made, Tensor) else 0


@contextmanager
def building(numbers: int, who: str) -> Iterator[None]:
    """Build a network on the CPU that is to hold ``numbers`` numbers, from values of a file.

    What asks for much more is refused before it is allocated: four times as many, and 2**26 besides
    for what is no weight. The random state is put back. An error that comes of a wrong value
    becomes a ValueError.

    Raises:
        ValueError: If the values build no network, or one that is too large.
        ImportError: If a package is missing.
    """
    try:
        with torch.random.fork_rng([]), torch.device("cpu"), _Ceiling(numbers, who):
            yield
    except (ValueError, ImportError, MemoryError):
        raise
    except Exception as error:
        got = Words(f"{type(error).__name__}: {str(error)[:500]}")
        raise ValueError(expected(who, "a model.json that builds a network", got)) from error

"""The choice between the backends of an operator, and the reasons for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from foveate.core import Words, check_choice, expected


def _runs_everywhere(input: Tensor) -> list[str]:
    return []


@dataclass(frozen=True)
class Backend:
    """One implementation of an operator.

    Attributes:
        name: Its name.
        run: The implementation, on checked arguments.
        why_not: The reasons why it cannot run on an input; none means that it can.
    """

    name: str
    run: Callable[..., Tensor]
    why_not: Callable[[Tensor], list[str]] = _runs_everywhere


def choose(who: str, backends: Sequence[Backend], name: str | None, input: Tensor) -> Backend:
    """Return the backend of that name, or the first that can run.

    Args:
        who: The operator, for errors.
        backends: Its backends in the order in which the automatic choice tries them.
        name: A name, or None for the automatic choice.
        input: The features.

    Raises:
        ValueError: If the name is unknown, or no wanted backend can run; every reason is named.
    """
    known = {backend.name: backend for backend in backends}
    if name is not None:
        check_choice(who, "backend", name, known)
    reasons = []
    for backend in backends if name is None else (known[name],):
        why = backend.why_not(input)
        if not why:
            return backend
        reasons.append(f"{backend.name}: {'; '.join(why)}")
    raise ValueError(expected(who, "a backend that can run", Words("; ".join(reasons))))


def explain(backends: Sequence[Backend], input: Tensor) -> list[dict[str, Any]]:
    """Say of each backend, in the order of choice, whether it can run and which one is taken.

    Returns:
        A dictionary per backend: ``name``, ``reasons`` against it, and ``chosen``.
    """
    rows: list[dict[str, Any]] = []
    for backend in backends:
        reasons = backend.why_not(input)
        chosen = not reasons and not any(row["chosen"] for row in rows)
        rows.append({"name": backend.name, "reasons": reasons, "chosen": chosen})
    return rows

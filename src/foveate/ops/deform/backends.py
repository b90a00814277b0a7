"""The backends by name and priority, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from foveate.core import Words, check_choice, expected
from foveate.ops.deform import reference
from foveate.ops.deform import torch as torch_backend
from foveate.ops.deform.arguments import Geometry

Run = Callable[[Tensor, Tensor, Tensor, "Tensor | None", "Tensor | None", Geometry], Tensor]


def _runs_everywhere(input: Tensor) -> list[str]:
    return []


@dataclass(frozen=True)
class Backend:
    """One implementation.

    Attributes:
        name: Its name.
        run: ``(input, offset, weight, bias, mask, geometry) -> output`` on checked arguments.
        why_not: The reasons why it cannot run on an input; none means that it can.
    """

    name: str
    run: Run
    why_not: Callable[[Tensor], list[str]] = _runs_everywhere


# In the order in which the automatic choice tries them.
BACKENDS: tuple[Backend, ...] = (
    Backend("torch", torch_backend.deform_conv2d),
    Backend("reference", reference.deform_conv2d),
)


def choose(name: str | None, input: Tensor) -> Backend:
    """Return the backend of that name, or the first that can run.

    Raises:
        ValueError: If the name is unknown, or no wanted backend can run; every reason is named.
    """
    known = {backend.name: backend for backend in BACKENDS}
    if name is not None:
        check_choice("deform_conv2d", "backend", name, known)
    wanted = BACKENDS if name is None else (known[name],)
    reasons = []
    for backend in wanted:
        why = backend.why_not(input)
        if not why:
            return backend
        reasons.append(f"{backend.name}: {'; '.join(why)}")
    raise ValueError(expected("deform_conv2d", "a backend that can run", Words("; ".join(reasons))))

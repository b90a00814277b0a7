"""What an operator with a backward pass of its own must leave to a differentiable form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad


def is_transformed(*tensors: Tensor | None) -> bool:
    """Whether a ``torch.func`` transform or forward-mode differentiation is at work.

    A compiler that traces is not one: it sees the operator whole.
    """
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return True
    return any(one is not None and _has_tangent(one) for one in tensors)


def _has_tangent(tensor: Tensor) -> bool:
    return forward_ad.unpack_dual(tensor).tangent is not None  # type: ignore[no-untyped-call]


def is_exporting() -> bool:
    """Whether ``torch.export`` traces; before torch 2.7 no one can tell, and it does not."""
    asked = getattr(torch.compiler, "is_exporting", None)
    return bool(asked()) if asked is not None else False


def second_order(
    run: Callable[..., Tensor],
    tensors: Sequence[Tensor | None],
    wanted: Sequence[bool],
    grad: Tensor,
) -> list[Tensor | None]:
    """First derivatives that can be differentiated again, for ``create_graph=True``.

    Args:
        run: The differentiable form, of ``tensors``.
        tensors: Its arguments.
        wanted: Which of them need a derivative.
        grad: The derivative by the result.
    """
    with torch.enable_grad():
        # Aliases, because one argument may depend on another: the offsets come from the input, and
        # what flows on that way is not this operator's to add.
        aliases = [None if one is None else one.view_as(one) for one in tensors]
        asked = [one for one, want in zip(aliases, wanted, strict=True) if want and one is not None]
        found = iter(
            torch.autograd.grad(run(*aliases), asked, grad, create_graph=True, allow_unused=True)
        )
    return [
        next(found) if want and one is not None else None
        for one, want in zip(aliases, wanted, strict=True)
    ]

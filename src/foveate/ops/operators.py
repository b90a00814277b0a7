"""Operators of our own for CPUs: their registration in one call, and where they may be used."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from foveate.ops.transforms import is_exporting, is_transformed


def takes_operator(*tensors: Tensor | None) -> bool:
    """Whether an operator of this package may take a call: on a CPU, not transformed or exported.

    An exported graph is to run without this package.
    """
    here = all(one is None or one.device.type == "cpu" for one in tensors)
    return here and not is_transformed(*tensors) and not is_exporting()


def _own(result: Tensor) -> Tensor:
    """Return a tensor that is no view, on the same memory.

    A channels-last map is made of rows, and what is a view of them could not be changed in place,
    as an activation after the operator may wish to.
    """
    if not result._is_view():
        return result
    place = result.storage_offset(), result.shape, result.stride()
    return result.new_empty(0).set_(result.untyped_storage(), *place)  # type: ignore[no-untyped-call]


def define(
    name: str,
    schema: str,
    run: Callable[..., Any],
    fake: Callable[..., Any],
    *,
    save: Callable[..., None] | None = None,
    differentiate: Callable[..., Any] | None = None,
) -> None:
    """Register ``foveate::name`` for CPUs.

    Args:
        name: Its name.
        schema: Arguments and results, as torch writes them.
        run: The implementation.
        fake: Returns empty results of the right sizes, strides and dtypes.
        save: Keeps what the backward pass needs: ``(ctx, inputs, output)``.
        differentiate: The backward pass: ``(ctx, *gradients)``.
    """
    full = f"foveate::{name}"

    @functools.wraps(run)
    def own(*arguments: Any) -> Any:
        results = run(*arguments)
        return tuple(map(_own, results)) if isinstance(results, tuple) else _own(results)

    torch.library.define(full, schema)
    torch.library.impl(full, "CPU", own)
    torch.library.register_fake(full, fake)
    if differentiate is not None:
        torch.library.register_autograd(full, differentiate, setup_context=save)

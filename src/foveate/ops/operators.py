"""Registration of operators: one call instead of four, and opaque to compilers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


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
    torch.library.define(full, schema)
    torch.library.impl(full, "CPU", run)
    torch.library.register_fake(full, fake)
    if differentiate is not None:
        torch.library.register_autograd(full, differentiate, setup_context=save)

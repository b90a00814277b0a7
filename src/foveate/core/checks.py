"""Argument checks that every module shares, each raising one clear error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, fx

from foveate.core.errors import Words, expected, suggest


def check_positive_int(who: str, name: str, value: object, minimum: int = 1) -> int:
    """Return ``value`` if it is an integer of at least ``minimum``.

    Raises:
        TypeError: If it is not an integer (a bool is not one).
        ValueError: If it is below ``minimum``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            expected(who, f"an integer {name}", Words(f"{value!r} ({type(value).__name__})"))
        )
    if value < minimum:
        raise ValueError(expected(who, f"{name} >= {minimum}", value))
    return value


def check_odd(who: str, name: str, value: object) -> int:
    """Return ``value`` if it is an odd integer of at least 1.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is even or below 1.
    """
    number = check_positive_int(who, name, value)
    if number % 2 == 0:
        raise ValueError(expected(who, f"an odd {name}", value))
    return number


def check_flag(who: str, name: str, value: object) -> bool:
    """Return ``value`` if it is True or False.

    Raises:
        TypeError: If it is anything else, 0 and 1 included.
    """
    if not isinstance(value, bool):
        got = Words(f"{value!r} ({type(value).__name__})")
        raise TypeError(expected(who, f"True or False for {name}", got))
    return value


def check_sides(who: str, name: str, values: object) -> tuple[int, ...]:
    """Return ``values`` as a tuple if they are integers of at least 1, one or more.

    Raises:
        TypeError: If one of them is not an integer.
        ValueError: If they are no sequence or empty, or one is below 1.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        got = Words(repr(values))
        raise ValueError(expected(who, f"{name} as a sequence of sides", got))
    return tuple(check_positive_int(who, f"side in {name}", side) for side in values)


def check_channel_multiple(who: str, channels: int, multiple: int) -> None:
    """Check that ``channels`` is a multiple of ``multiple``.

    Raises:
        ValueError: If it is not.
    """
    if channels % multiple:
        raise ValueError(expected(who, f"channels that are a multiple of {multiple}", channels))


def check_ratio(who: str, name: str, value: float, upper: float = 1.0) -> float:
    """Return ``value`` as a float if it is finite and lies in (0, ``upper``].

    Raises:
        TypeError: If it is not a number.
        ValueError: If it lies outside, or is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            expected(who, f"a number {name}", Words(f"{value!r} ({type(value).__name__})"))
        )
    if not math.isfinite(value) or not 0 < value <= upper:
        raise ValueError(expected(who, f"{name} in (0, {upper:g}]", value))
    return float(value)


def check_choice(who: str, name: str, value: object, known: Iterable[object]) -> None:
    """Check that ``value`` is one of ``known``.

    Raises:
        ValueError: If it is not; near words are named.
    """
    choices = list(known)
    if value not in choices:
        remedy = suggest(str(value), [str(choice) for choice in choices])
        raise ValueError(expected(who, f"a known {name}", value, remedy))


def check_feature_map(
    who: str, x: Tensor, channels: int, min_pixels: int = 1, min_side: int = 1
) -> None:
    """Check that ``x`` is a floating (N, ``channels``, H, W) map with enough pixels.

    A proxy of ``torch.fx`` passes: symbolic tracing has no shapes to check.

    Raises:
        TypeError: If ``x`` is no floating tensor.
        ValueError: If rank, channels, the number of pixels or the shorter side are wrong.
    """
    if isinstance(x, fx.Proxy):
        return
    if not isinstance(x, Tensor):
        raise TypeError(expected(who, "a tensor x", Words(type(x).__name__)))
    if x.dim() != 4 or x.shape[1] != channels:
        pixels = f"H, W >= {min_side}" if min_pixels == 1 else f"H*W >= {min_pixels}"
        raise ValueError(
            expected(who, f"x of shape (N, {channels}, H, W) with {pixels}", tuple(x.shape))
        )
    if not torch.is_floating_point(x):
        raise TypeError(expected(who, "x of a floating dtype", x.dtype))
    if x.shape[2] * x.shape[3] < min_pixels:
        raise ValueError(
            expected(
                who,
                f"a map of at least {min_pixels} pixels",
                Words(f"{x.shape[2]}x{x.shape[3]}"),
                "feed larger images, or use the small-image stem (stem='small')",
            )
        )
    if min_side > 1 and (x.shape[2] < min_side or x.shape[3] < min_side):
        raise ValueError(
            expected(
                who,
                f"a map of at least {min_side}x{min_side} pixels",
                Words(f"{x.shape[2]}x{x.shape[3]}"),
                "feed larger images",
            )
        )

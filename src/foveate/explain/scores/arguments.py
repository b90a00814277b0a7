"""What every score of a map takes: maps, regions, and the pieces that bound memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from foveate.core import Words, expected

# Two megabytes of float64: what a score computes on the way stays in the cache of one core.
PIECE_PIXELS = 2**18


def check_maps(who: str, maps: Tensor, regions: Tensor, high: float = math.inf) -> None:
    """Check that ``maps`` are floating, ``regions`` bool, of one shape (N, H, W) and in range.

    Args:
        who: The function that complains.
        maps: Values from 0 to ``high``; NaN passes, and makes the score of its image NaN.
        regions: True on the object.
        high: Largest value of a map that makes sense; rounding by one part in a million passes.

    Raises:
        TypeError: If one is no tensor, or of another kind of dtype.
        ValueError: If shapes or devices differ, a map has no pixel, or a value is out of range.
    """
    for name, value in (("maps", maps), ("regions", regions)):
        if not isinstance(value, Tensor):
            raise TypeError(expected(who, f"a tensor of {name}", Words(type(value).__name__)))
    if not maps.is_floating_point():
        raise TypeError(expected(who, "maps of a floating dtype", maps.dtype))
    if maps.dim() != 3 or maps.shape[1] * maps.shape[2] == 0:
        raise ValueError(expected(who, "maps of shape (N, H, W), H, W >= 1", tuple(maps.shape)))
    check_mask(who, "regions", regions, maps)
    if not maps.numel():
        return
    low, top = (float(value) for value in maps.detach().aminmax())
    if math.isnan(low):
        low, top = (float(value) for value in torch.nan_to_num(maps.detach()).aminmax())
        top = math.inf if bool(maps.isinf().any()) else top
    if low < 0 or top > high * (1 + 1e-6):
        rule = "maps >= 0" if math.isinf(high) else f"maps in [0, {high:g}]"
        raise ValueError(expected(who, rule, Words(f"values from {low:.4g} to {top:.4g}")))
    if math.isinf(top):
        raise ValueError(expected(who, "finite maps (NaN marks an undefined one)", Words("inf")))


def check_mask(who: str, name: str, mask: Tensor, maps: Tensor) -> None:
    """Check that ``mask`` is a bool tensor in the shape and on the device of ``maps``.

    Raises:
        TypeError: If its dtype is not bool.
        ValueError: If its shape or device differs.
    """
    if mask.dtype != torch.bool:
        raise TypeError(expected(who, f"{name} of dtype bool", mask.dtype, "compare with > 0"))
    if mask.shape != maps.shape:
        rule = f"{name} in the shape of the maps {tuple(maps.shape)}"
        raise ValueError(expected(who, rule, tuple(mask.shape)))
    if mask.device != maps.device:
        rule = f"{name} on the device of the maps, {maps.device}"
        raise ValueError(expected(who, rule, Words(mask.device)))


def area(regions: Tensor) -> Tensor:
    """Share of each image that its region covers: (N,) float64, NaN where it is empty."""
    return defined(share(regions), regions)


def share(mask: Tensor) -> Tensor:
    """Share of the image (N,) float64 on which a mask (N, H, W) is True."""
    return mask.sum((1, 2)).double() / (mask.shape[1] * mask.shape[2])


def defined(score: Tensor, regions: Tensor, where: Tensor | None = None) -> Tensor:
    """Put NaN where a region is empty, or where ``where`` (N,) is False."""
    # The largest byte is found some 30 times as fast as any() of bools.
    kept = regions.view(torch.uint8).amax((1, 2)) > 0
    return score.masked_fill(~(kept if where is None else kept & where), math.nan)


def by_pieces(score: Callable[..., Mapping[str, Tensor]], *tensors: Tensor) -> dict[str, Tensor]:
    """Score a batch a few images at a time: bounded memory, and faster than all at once.

    Args:
        score: Takes pieces of ``tensors`` and returns vectors by name.
        tensors: Each (N, H, W).
    """
    count, height, width = tensors[0].shape
    step = max(1, PIECE_PIXELS // (height * width))
    found: dict[str, Tensor] = {}
    for start in range(0, max(1, count), step):
        part = score(*(tensor[start : start + step] for tensor in tensors))
        # Into vectors made beforehand: small results kept between large buffers would pin the heap.
        if not found:
            found = {name: value.new_empty(count) for name, value in part.items()}
        for name, value in part.items():
            found[name][start : start + step] = value
    return found

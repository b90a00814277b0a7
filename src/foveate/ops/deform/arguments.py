"""What every backend of the deformable convolution agrees on: sizes, checks, dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from foveate.core import Words, expected
from foveate.ops.autocast import autocast_dtype

_WHO = "deform_conv2d"


@dataclass(frozen=True)
class Geometry:
    """The sizes of one call, in pixels and counts.

    Attributes:
        kernel: Kernel height and width.
        stride: Step between output positions, vertical and horizontal.
        padding: Rows and columns of zeros around the input.
        dilation: Distance between taps.
        out: Height and width of the output.
        groups: Weight groups G.
        offset_groups: Channel groups that share one set of offsets.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]
    groups: int
    offset_groups: int

    @property
    def taps(self) -> int:
        """Number of kernel taps K."""
        return self.kernel[0] * self.kernel[1]

    @property
    def sizes(self) -> list[int]:
        """What an operator's schema carries: stride, padding, dilation, offset groups."""
        return [*self.stride, *self.padding, *self.dilation, self.offset_groups]

    @classmethod
    def of_sizes(
        cls, sizes: Sequence[int], input: Tensor, offset: Tensor, weight: Tensor
    ) -> Geometry:
        """Rebuild the geometry of checked arguments from :attr:`sizes` and their shapes."""
        return cls(
            kernel=(weight.shape[2], weight.shape[3]),
            stride=(sizes[0], sizes[1]),
            padding=(sizes[2], sizes[3]),
            dilation=(sizes[4], sizes[5]),
            out=(offset.shape[2], offset.shape[3]),
            groups=input.shape[1] // weight.shape[1],
            offset_groups=sizes[6],
        )


class Wanted(NamedTuple):
    """Which derivatives are wanted."""

    input: bool
    offset: bool
    weight: bool
    bias: bool
    mask: bool


def pair(name: str, value: int | Sequence[int], minimum: int) -> tuple[int, int]:
    """Return ``value`` as (vertical, horizontal), both at least ``minimum``.

    Raises:
        TypeError: If it is neither an integer nor two of them.
        ValueError: If one is below ``minimum``.
    """
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2 or not all(isinstance(one, int) for one in both):
        raise TypeError(expected(_WHO, f"{name} as an integer or two", value))
    if min(both) < minimum:
        raise ValueError(expected(_WHO, f"{name} >= {minimum}", value))
    return both[0], both[1]


def geometry_of(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    mask: Tensor | None,
) -> Geometry:
    """Check every argument against the others and return the sizes.

    Raises:
        TypeError: If a tensor is not floating, or dtypes do not fit.
        ValueError: If a rank or a size does not fit.
    """
    for name, tensor in (("input", input), ("offset", offset), ("weight", weight)):
        if not isinstance(tensor, Tensor):
            raise TypeError(expected(_WHO, f"a tensor {name}", Words(type(tensor).__name__)))
        if tensor.dim() != 4:
            raise ValueError(expected(_WHO, f"{name} of rank 4", tuple(tensor.shape)))
    _check_dtypes(input, offset, weight, bias, mask)
    steps, pads, gaps = (
        pair("stride", stride, 1),
        pair("padding", padding, 0),
        pair("dilation", dilation, 1),
    )
    channels, (out_channels, per_group, *kernel) = input.shape[1], weight.shape
    if min(kernel) < 1:
        raise ValueError(expected(_WHO, "a kernel of at least 1x1", tuple(weight.shape)))
    if per_group < 1 or channels % per_group or out_channels % (channels // per_group):
        rule = f"weight (C_out, {channels} / G, kh, kw) with G dividing both channel counts"
        raise ValueError(expected(_WHO, rule, tuple(weight.shape)))
    out = tuple(
        (size + 2 * pad - gap * (width - 1) - 1) // step + 1
        for size, pad, gap, width, step in zip(
            input.shape[2:], pads, gaps, kernel, steps, strict=True
        )
    )
    if min(out) < 1:
        raise ValueError(
            expected(_WHO, "a map not smaller than its kernel", tuple(input.shape), "pad it")
        )
    taps = kernel[0] * kernel[1]
    groups = offset.shape[1] // (2 * taps)
    if groups < 1 or offset.shape[1] % (2 * taps) or channels % groups:
        rule = f"offset with 2 * {taps} * D channels, D dividing {channels}"
        raise ValueError(expected(_WHO, rule, tuple(offset.shape)))
    want = (input.shape[0], 2 * groups * taps, *out)
    if tuple(offset.shape) != want:
        raise ValueError(expected(_WHO, f"offset of shape {want}", tuple(offset.shape)))
    want = (input.shape[0], groups * taps, *out)
    if mask is not None and tuple(mask.shape) != want:
        raise ValueError(expected(_WHO, f"mask of shape {want}", tuple(mask.shape)))
    if bias is not None and tuple(bias.shape) != (out_channels,):
        raise ValueError(expected(_WHO, f"bias of shape ({out_channels},)", tuple(bias.shape)))
    return Geometry(
        kernel=(kernel[0], kernel[1]),
        stride=steps,
        padding=pads,
        dilation=gaps,
        out=(out[0], out[1]),
        groups=channels // per_group,
        offset_groups=groups,
    )


def _check_dtypes(
    input: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None
) -> None:
    """Features and weights share one dtype; offset and mask may be float32 beside half types."""
    if not input.is_floating_point():
        raise TypeError(expected(_WHO, "input of a floating dtype", input.dtype))
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.dtype != input.dtype:
            raise TypeError(
                expected(_WHO, f"{name} of input's dtype {input.dtype}", tensor.dtype, "cast one")
            )
    allowed = {input.dtype, torch.promote_types(input.dtype, torch.float32)}
    for name, tensor in (("offset", offset), ("mask", mask)):
        if tensor is not None and tensor.dtype not in allowed:
            names = " or ".join(sorted(str(one) for one in allowed))
            raise TypeError(expected(_WHO, f"{name} of dtype {names}", tensor.dtype, "cast it"))


def coordinate_dtype(input: Tensor) -> torch.dtype:
    """Coordinates stay in float32 at least: bfloat16 spaces positions 128..256 a pixel apart."""
    return torch.promote_types(input.dtype, torch.float32)


def cast_for_autocast(
    input: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Apply autocast's rule of convolutions, but keep offset and mask in float32.

    Outside autocast, and for float64, the tensors are returned as they came.
    """
    low = autocast_dtype(input)
    if low is None:
        return input, offset, weight, bias, mask
    return (
        input.to(low),
        offset.float(),
        weight.to(low),
        None if bias is None else bias.to(low),
        None if mask is None else mask.float(),
    )

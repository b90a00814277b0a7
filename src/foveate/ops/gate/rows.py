"""The gate's tail on some rows of pixels, (pixels, C): LayerNorm, sigmoid, product.

Computed in float32 at least, whatever the dtype of the rows. Sums over pixels are taken block by
block in a fixed order, so no gradient depends on the number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.ops.steady import sigmoid_

# Values of a block of rows; with its temporaries it stays in a second-level cache.
BLOCK = 1 << 18


class Affine:
    """Scale and shift of the LayerNorm, and their gradients while blocks add to them.

    Args:
        weight: (C,) or None.
        bias: (C,) or None.
        eps: Added to the variance.
        channels: C.
        dtype: Dtype of the arithmetic.
    """

    def __init__(
        self,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        channels: int,
        dtype: torch.dtype,
    ) -> None:
        self.weight, self.bias = (None if o is None else o.to(dtype) for o in (weight, bias))
        self.eps, self.shape, self.dtype = eps, (channels,), dtype
        self.sums: list[Tensor] = []

    def apply(self, unit: Tensor) -> Tensor:
        """Scale and shift normalized rows, into new ones."""
        if self.weight is None:
            return unit.clone() if self.bias is None else unit + self.bias
        if self.bias is None:
            return unit * self.weight
        return torch.addcmul(self.bias, unit, self.weight)

    def gradients(self, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Gradients in the dtypes of the two; empty for one that is None."""
        totals = self.sums or [torch.zeros(self.shape, dtype=self.dtype) for _ in range(2)]
        found = zip(totals, (weight, bias), strict=True)
        first, second = (total[:0] if o is None else total.to(o.dtype) for total, o in found)
        return first, second

    def add_(self, by_weight: Tensor, by_bias: Tensor) -> None:
        """Add the gradients of a block."""
        if not self.sums:
            self.sums = [by_weight, by_bias]
            return
        self.sums[0] += by_weight
        self.sums[1] += by_bias


def forward_(out: Tensor, x: Tensor, mixed: Tensor, affine: Affine) -> None:
    """Write x times the sigmoid of the normalized rows into ``out``."""
    for part in blocks(mixed):
        wide = mixed[part].to(affine.dtype)
        norm = torch.native_layer_norm(wide, affine.shape, affine.weight, affine.bias, affine.eps)
        gate = sigmoid_(norm[0])
        if out.dtype == affine.dtype:
            torch.mul(gate, x[part], out=out[part])
        else:
            out[part] = gate.mul_(x[part])


def backward_(
    by_x: Tensor, by_mixed: Tensor, grad: Tensor, x: Tensor, mixed: Tensor, affine: Affine
) -> None:
    """Write the gradients by x and by the mixed rows; add those by scale and shift."""
    for part in blocks(mixed):
        wide, upstream = mixed[part].to(affine.dtype), grad[part].to(affine.dtype)
        unit, mean, scale = torch.native_layer_norm(wide, affine.shape, None, None, affine.eps)
        gate = sigmoid_(affine.apply(unit))
        if by_x.dtype == affine.dtype:
            torch.mul(upstream, gate, out=by_x[part])
        else:
            by_x[part] = upstream * gate
        inner = torch.ops.aten.sigmoid_backward(upstream * x[part], gate)
        by_bias = inner.sum(0)
        affine.add_(torch.mul(unit, inner, out=gate).sum(0), by_bias)
        by_mixed[part] = torch.ops.aten.native_layer_norm_backward(
            inner,
            wide,
            affine.shape,
            mean,
            scale,
            affine.weight,
            affine.bias,
            [True, False, False],
        )[0]


def like_gradients(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Empty tensors of the sizes and dtypes that :meth:`Affine.gradients` returns."""
    wide = torch.promote_types(x.dtype, torch.float32)
    first, second = (
        x.new_empty(0, dtype=wide) if one is None else torch.empty_like(one)
        for one in (weight, bias)
    )
    return first, second


def blocks(rows: Tensor) -> list[slice]:
    """Cut rows into blocks of a fixed size."""
    step = max(1, BLOCK // max(1, rows.shape[1]))
    return [slice(first, first + step) for first in range(0, rows.shape[0], step)]

"""The product of columns and kernel, and its two derivatives, in three forms by weight groups.

Columns are (pixels, K, C) in memory. Dense kernels are one matrix product, grouped ones a batched
product, and kernels with a group for each channel are K scaled sums, since a product of vectors
would spend its time on rearranging.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from foveate.ops.deform.arguments import Geometry
from foveate.ops.steady import matmul, matmul_


class Product(Protocol):
    """What the tiles need of a kernel; ``total`` has the shape of its rearranged weights."""

    def forward_(self, out: Tensor, columns: Tensor) -> None:
        """Write the rows (pixels, C') of the columns."""

    def by_columns(self, grad: Tensor) -> Tensor:
        """Return the derivative by the columns, contiguous, given that by the rows."""

    def by_weight(self, total: Tensor | None, grad: Tensor, columns: Tensor) -> Tensor:
        """Return the derivative by the rearranged weights, added to ``total`` in place."""

    def restore(self, total: Tensor) -> Tensor:
        """Return rearranged weights as (C', C / G, kh, kw)."""


def product_of(weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Product:
    """Choose the form for a kernel (C', C / G, kh, kw)."""
    if geometry.groups == 1:
        return _Dense(weight, bias)
    return (_PerChannel if weight.shape[1] == 1 else _Grouped)(weight, bias, geometry.groups)


class _Dense:
    """Weights as (C', K C); free of a copy if the kernel is channels-last."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.shape = weight.shape
        self.weight = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)
        self.bias = bias

    def forward_(self, out: Tensor, columns: Tensor) -> None:
        columns = columns.view(out.shape[0], -1)
        matmul_(out, columns, self.weight.t())
        if self.bias is not None:
            out += self.bias

    def by_columns(self, grad: Tensor) -> Tensor:
        return matmul(grad, self.weight)

    def by_weight(self, total: Tensor | None, grad: Tensor, columns: Tensor) -> Tensor:
        columns = columns.view(grad.shape[0], -1)
        if total is not None and total.dtype == grad.dtype:
            return matmul_(total, grad.t(), columns, add=True)
        return _add(total, matmul(grad.t(), columns))

    def restore(self, total: Tensor) -> Tensor:
        out, per_group, height, width = self.shape
        return total.view(out, height, width, per_group).permute(0, 3, 1, 2)


class _Grouped:
    """Weights as (G, K C / G, C' / G)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int) -> None:
        self.shape, self.groups, self.bias = weight.shape, groups, bias
        rows = weight.permute(0, 2, 3, 1).reshape(groups, weight.shape[0] // groups, -1)
        self.weight = rows.transpose(1, 2).contiguous()

    def forward_(self, out: Tensor, columns: Tensor) -> None:
        rows = torch.bmm(self._split(columns, out.shape[0]), self.weight)
        self._split_rows(out).copy_(rows)
        if self.bias is not None:
            out += self.bias

    def by_columns(self, grad: Tensor) -> Tensor:
        count, per_group = grad.shape[0], self.shape[1]
        split = torch.bmm(self._split_rows(grad), self.weight.transpose(1, 2))
        split = split.view(self.groups, count, -1, per_group)
        return split.permute(1, 2, 0, 3).contiguous()

    def by_weight(self, total: Tensor | None, grad: Tensor, columns: Tensor) -> Tensor:
        split = self._split(columns, grad.shape[0])
        return _add(total, torch.bmm(split.transpose(1, 2), self._split_rows(grad)))

    def restore(self, total: Tensor) -> Tensor:
        out, per_group, height, width = self.shape
        rows = total.transpose(1, 2).reshape(out, height, width, per_group)
        return rows.permute(0, 3, 1, 2)

    def _split(self, columns: Tensor, count: int) -> Tensor:
        split = columns.view(count, -1, self.groups, self.shape[1])
        return split.permute(2, 0, 1, 3).reshape(self.groups, count, -1)

    def _split_rows(self, grad: Tensor) -> Tensor:
        return grad.view(grad.shape[0], self.groups, -1).transpose(0, 1)


class _PerChannel:
    """Weights as (K, M, C): C / G = 1, and M output channels read each channel."""

    def __init__(self, weight: Tensor, bias: Tensor | None, groups: int) -> None:
        self.shape, self.groups, self.bias = weight.shape, groups, bias
        self.many = weight.shape[0] // groups
        taps_last = weight.reshape(groups, self.many, -1)
        self.weight = taps_last.permute(2, 1, 0).contiguous()

    def forward_(self, out: Tensor, columns: Tensor) -> None:
        split = columns.view(out.shape[0], -1, 1, self.groups)
        total = split[:, 0] * self.weight[0]
        for tap in range(1, self.weight.shape[0]):
            total.addcmul_(split[:, tap], self.weight[tap])
        out.view(-1, self.groups, self.many).copy_(total.transpose(1, 2))
        if self.bias is not None:
            out += self.bias

    def by_columns(self, grad: Tensor) -> Tensor:
        split = grad.view(grad.shape[0], self.groups, self.many).transpose(1, 2).contiguous()
        columns = grad.new_empty(grad.shape[0], self.weight.shape[0], self.groups)
        for tap, kernel in enumerate(self.weight):
            torch.mul(split[:, 0], kernel[0], out=columns[:, tap])
            for one in range(1, self.many):
                columns[:, tap].addcmul_(split[:, one], kernel[one])
        return columns

    def by_weight(self, total: Tensor | None, grad: Tensor, columns: Tensor) -> Tensor:
        split = grad.view(grad.shape[0], self.groups, self.many).transpose(1, 2)
        columns = columns.view(grad.shape[0], -1, 1, self.groups)
        taps = range(self.weight.shape[0])
        return _add(total, torch.stack([(split * columns[:, tap]).sum(0) for tap in taps]))

    def restore(self, total: Tensor) -> Tensor:
        return total.permute(2, 1, 0).reshape(self.shape)


def _add(total: Tensor | None, part: Tensor) -> Tensor:
    """Add the part of a tile, in float32 at least."""
    if total is None:
        return part.to(torch.promote_types(part.dtype, torch.float32))
    return total.add_(part)

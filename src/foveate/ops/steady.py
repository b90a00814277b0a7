"""Products and sigmoids whose last bits do not depend on the number of threads.

A BLAS splits the inner dimension between threads when the result is small beside it, and then the
order of the sum changes with their number. It is not tempted when that dimension is short; long
ones become batches of shorter or narrower products, and slivers are widened. A sigmoid is computed
in vectors but for the last few values of each thread, which come out a little different; so threads
are given whole vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# The longest inner dimension that is not split, by the shorter side of the result: seen on x86-64
# with MKL, where 1 and 2 threads then agree to the bit; a test watches over it.
_LONGEST = ((192, 768), (384, 1024), (768, 2048))
_LONGEST_DOUBLE = 192
_SLIVER = 16
# Into how many narrower products, whichever divides; and the inner length of shorter ones.
_PARTS = (8, 7, 6, 5, 4)
_CUT = 512
# Values of the largest vector step, and how many values torch gives a thread at least.
_VECTOR = 64
_GRAIN = 32768


def matmul_(out: Tensor, a: Tensor, b: Tensor, *, add: bool = False) -> Tensor:
    """Write ``a @ b`` into ``out``, or add it.

    Args:
        out: The result.
        a: The first factor.
        b: The second.
        add: Whether to add to what ``out`` holds.

    Shape:
        - a: (M, K); b: (K, N); out: (M, N), one dtype.
    """
    rows, columns = out.shape
    if min(rows, columns) < _SLIVER:
        wide = _widen(a, b)
        return out.add_(wide) if add else out.copy_(wide)
    return _cut_(out, a, b, add)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a @ b``; shapes as in :func:`matmul_`."""
    return matmul_(a.new_empty(a.shape[0], b.shape[1]), a, b)


def _cut_(out: Tensor, a: Tensor, b: Tensor, add: bool) -> Tensor:
    (rows, inner), columns = a.shape, b.shape[1]
    double = a.element_size() > 4
    longest = next((most for below, most in _LONGEST if min(rows, columns) < below), inner)
    if inner <= (_LONGEST_DOUBLE if double else longest):
        return out.addmm_(a, b) if add else torch.mm(a, b, out=out)
    parts = next((one for one in _PARTS if columns % one == 0), 0)
    if b.stride(0) == 1 and parts and not double:
        # Columns of b lie in memory one after the other: a part of them for each product.
        wide = b.t().view(parts, columns // parts, inner).transpose(1, 2)
        found = torch.bmm(a.expand(parts, rows, inner), wide).transpose(0, 1)
        view = out.view(rows, parts, columns // parts)
        view.copy_(view + found if add else found)
        return out
    step = _LONGEST_DOUBLE if double else _CUT
    many = inner // step
    whole = many * step
    left = a[:, :whole].unflatten(1, (many, step)).transpose(0, 1)  # type: ignore[no-untyped-call]
    right = b[:whole].unflatten(0, (many, step))  # type: ignore[no-untyped-call]
    total = torch.bmm(left, right).sum(0)
    if whole < inner:
        total.addmm_(a[:, whole:], b[whole:])
    return out.add_(total) if add else out.copy_(total)


def _widen(a: Tensor, b: Tensor) -> Tensor:
    """Return ``a @ b`` by way of factors with zeros added."""
    rows, columns = a.shape[0], b.shape[1]
    a = functional.pad(a, (0, 0, 0, max(0, _SLIVER - rows)))
    b = functional.pad(b, (0, max(0, _SLIVER - columns)))
    out = _cut_(a.new_empty(a.shape[0], b.shape[1]), a, b, add=False)
    return out[:rows, :columns]


def sigmoid_(values: Tensor) -> Tensor:
    """Replace contiguous values by their sigmoid."""
    flat = values.view(-1)
    count = flat.numel()
    if count <= _GRAIN:
        return values.sigmoid_()
    whole = _whole(count)
    flat[:whole].sigmoid_()
    if whole < count:
        rest = functional.pad(flat[whole:], (0, -(count - whole) % _VECTOR))
        flat[whole:] = rest.sigmoid_()[: count - whole]
    return values


def _whole(count: int) -> int:
    """How many of ``count`` values threads can share in whole vectors."""
    threads = torch.get_num_threads()
    while True:
        used = min(threads, -(-count // _GRAIN))
        whole = count - count % (_VECTOR * used)
        if min(threads, -(-whole // _GRAIN)) == used:
            return whole
        count = whole

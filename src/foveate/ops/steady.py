"""Products and sigmoids whose last bits do not depend on the number of threads.

A BLAS splits the inner dimension between threads when the result is small beside it, and then the
order of the sum changes with their number. It is not tempted when that dimension is short and the
result is not a sliver; so long ones are cut here and slivers widened. A sigmoid is computed in
vectors but for the last few values of each thread, which come out a little different; so threads
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
    inner = a.shape[1]
    step = _step(min(out.shape), inner, out.element_size())
    for first in range(0, inner, step):
        part = slice(first, first + step)
        if first or add:
            out.addmm_(a[:, part], b[part])
        else:
            torch.mm(a[:, part], b[part], out=out)
    return out if inner or add else out.zero_()


def _step(side: int, inner: int, itemsize: int) -> int:
    """Length of the cuts of an inner dimension, nearly equal."""
    longest = next((most for below, most in _LONGEST if side < below), inner)
    if itemsize > 4:
        longest = _LONGEST_DOUBLE
    return -(-inner // max(1, -(-inner // max(1, longest))))


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

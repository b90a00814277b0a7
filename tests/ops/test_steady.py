"""Products and sigmoids: right, and to the bit the same for any number of threads."""

import pytest
import torch

from foveate.ops import steady
from support import assert_same

SIDES = (1, 16, 49, 128, 301)
INNER = (1, 100, 700, 900, 1836)


def on_threads(run):
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(run())
    finally:
        torch.set_num_threads(before)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("inner", INNER)
def test_products_do_not_depend_on_threads(dtype, inner):
    for rows in SIDES:
        for columns in SIDES:
            a, b = torch.randn(rows, inner, dtype=dtype), torch.randn(columns, inner, dtype=dtype)
            for left, right in ((a, b.t()), (a.t().contiguous().t(), b.t().contiguous())):
                one, two = on_threads(lambda a=left, b=right: steady.matmul(a, b))[:2]
                assert torch.equal(one, two), (rows, inner, columns)
                assert_same(one, left @ right, limit=1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("shape", [(5, 900, 40), (20, 30, 300), (300, 900, 20), (3, 2000, 2)])
def test_products_are_written_or_added(shape, poisoned_memory):
    rows, inner, columns = shape
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    start = torch.randn(rows, columns)
    for right in (b, b.t().contiguous().t()):
        assert_same(steady.matmul_(start.clone(), a, right, add=True), start + a @ b)
        assert_same(steady.matmul(a, right), a @ b)


@pytest.mark.parametrize("count", [1, 63, 32768, 32769, 40001, 65537, 98305, 262144, 300007])
def test_sigmoids_do_not_depend_on_threads(count):
    values = torch.randn(count) * 4
    found = on_threads(lambda: steady.sigmoid_(values.clone()))
    assert all(torch.equal(one, found[0]) for one in found)
    assert_same(found[0], values.double().sigmoid().float())

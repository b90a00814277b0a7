"""The tiles: their cuts, index widths, sorts and threads change nothing in the result."""

import pytest
import torch
from operator_cases import leaf_gradients, make, make_gate

from foveate.ops import deform_conv2d, deform_gate, gate_epilogue
from foveate.ops.deform import Geometry, rows, samples
from foveate.ops.gate import rows as gate_rows
from support import assert_same

# Five images of 4 x 7 output pixels, two groups of weights and three of offsets.
SIZES = (5, 6, 9, 8, 4, (3, 2), 2, 3, (2, 1), (1, 0), (2, 1))
PIXEL_BYTES = 6 * 6 * 8  # columns of one output pixel: taps, channels, itemsize
CUTS = (1, 5, 27, 28, 60, 100, 140)  # pixels a tile: parts of an image, one, two, three, all


def run_torch(case=SIZES, dtype=torch.float64, spread=2.0):
    tensors, sizes = make(case, dtype=dtype, spread=spread)
    return leaf_gradients(lambda **t: deform_conv2d(**t, **sizes, backend="torch"), tensors)


def run_gate(**options):
    return leaf_gradients(lambda **t: deform_gate(**t, backend="torch"), make_gate(**options))


def assert_runs(got, want, compare=assert_same):
    compare(got[0], want[0])
    assert set(got[1]) == set(want[1])
    for name, grad in want[1].items():
        compare(got[1][name], grad, name)


def assert_bits(got, want, what="result"):
    assert torch.equal(got, want), f"{what}: off by {(got - want).abs().max():.1e}"


@pytest.mark.parametrize("pixels", CUTS)
def test_tiles_cover_every_output_pixel_once(monkeypatch, pixels):
    geometry = Geometry((3, 2), (2, 1), (1, 0), (2, 1), (4, 7), 2, 3)
    monkeypatch.setattr(rows, "TILE_BYTES", pixels * PIXEL_BYTES)
    found = list(rows.tiles(5, 6, 8, geometry))
    covered = [row for tile in found for row in range(tile.rows.start, tile.rows.stop)]
    assert covered == list(range(5 * 28))
    assert all(tile.count == tile.rows.stop - tile.rows.start <= pixels for tile in found)
    assert (len(found) == 1) == (pixels == 140)


@pytest.mark.parametrize("pixels", CUTS)
def test_any_cut_gives_the_same_result_and_gradients(monkeypatch, pixels):
    want, gate = run_torch(), run_gate(size=(3, 8, 5, 6))
    monkeypatch.setattr(rows, "TILE_BYTES", pixels * PIXEL_BYTES)
    monkeypatch.setattr(gate_rows, "BLOCK", 8 * 3)
    assert_runs(run_torch(), want)
    assert_runs(run_gate(size=(3, 8, 5, 6)), gate)


def test_a_wrong_cut_would_be_seen(monkeypatch):
    want = run_torch()
    monkeypatch.setattr(rows, "TILE_BYTES", 5 * PIXEL_BYTES)
    real = samples.Sampler.tile

    def late(self, tile):
        first, last = tile.pixels
        return real(self, rows.Tile(tile.images, (first - 1, last - 1), tile.rows))

    monkeypatch.setattr(samples.Sampler, "tile", lambda s, t: (late if t.pixels[0] else real)(s, t))
    with pytest.raises(AssertionError):
        assert_runs(run_torch(), want)


@pytest.mark.parametrize("spread", [0.1, 2.0, 30.0])
@pytest.mark.parametrize("pixels", [9, 28, 1000])
def test_64_bit_indices_give_the_same_bits(monkeypatch, pixels, spread):
    monkeypatch.setattr(rows, "TILE_BYTES", pixels * PIXEL_BYTES)
    want = run_torch(spread=spread)
    monkeypatch.setattr(samples, "_INT32", 0)
    assert_runs(run_torch(spread=spread), want, assert_bits)


def test_indices_are_64_bit_where_the_rows_need_it(monkeypatch):
    tensors, _ = make(SIZES)
    frame, geometry = rows.Frame(9, 8, 3), Geometry((3, 2), (2, 1), (1, 0), (2, 1), (4, 7), 2, 3)

    def integer(limit):
        monkeypatch.setattr(samples, "_INT32", limit)
        sampler = samples.Sampler(tensors["offset"], None, frame, geometry, torch.float64)
        tile = next(rows.tiles(5, 6, 8, geometry))
        found = sampler.tile(tile)
        assert found.index().dtype == found.first.dtype
        return found.first.dtype

    many = 5 * frame.pixels * 3
    assert integer(many + 1) == torch.int32
    assert integer(many) == torch.int64


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_both_sorts_give_the_one_stable_order(monkeypatch, index):
    keys = torch.randint(0, 50, (3000,), dtype=index)
    radix = samples._stable_order(keys, 50)
    monkeypatch.setattr(samples, "_UINT16", 0)
    assert torch.equal(samples._stable_order(keys, 50), radix)
    pairs = list(zip(keys[radix].tolist(), radix.tolist(), strict=True))
    assert pairs == sorted(pairs)


@pytest.mark.parametrize("span", [1, 1 << 16, (1 << 16) + 1])
def test_keys_at_the_edge_of_16_bits_are_sorted(span):
    keys = torch.tensor([span - 1, 0, span - 1, 0, span // 2])
    assert keys[samples._stable_order(keys, span)].tolist() == sorted(keys.tolist())


@pytest.mark.parametrize("spread", [0.1, 2.0, 30.0])
def test_the_sort_of_wide_keys_gives_the_same_bits(monkeypatch, spread):
    want = run_torch(spread=spread)
    monkeypatch.setattr(samples, "_UINT16", 0)
    assert_runs(run_torch(spread=spread), want, assert_bits)


def test_destinations_may_span_more_than_16_bits():
    tensors, sizes = make((1, 2, 280, 260, 2, (1, 1), 1, 1, (9, 9), 0, 1), spread=200.0)
    assert 280 * 260 > 1 << 16
    both = [
        leaf_gradients(lambda b=b, **t: deform_conv2d(**t, **sizes, backend=b), tensors)
        for b in ("torch", "reference")
    ]
    assert_runs(*both)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("limit", [0, 1 << 31])
def test_without_sampled_addmm_the_gradients_are_the_same(monkeypatch, dtype, limit):
    monkeypatch.setattr(samples, "_INT32", limit)
    assert samples._has_sampled_addmm()
    want = run_torch(dtype=dtype)
    monkeypatch.setattr(samples, "_has_sampled_addmm", lambda: False)
    assert_runs(run_torch(dtype=dtype), want)


def test_sampled_addmm_is_looked_for_in_float32_whatever_the_default():
    samples._has_sampled_addmm.cache_clear()
    torch.set_default_dtype(torch.bfloat16)
    assert samples._has_sampled_addmm()


# Large enough that torch parts the work between threads; odd sizes leave ends that no vector fills.
OPERATORS = {
    "deform_conv2d": lambda: run_torch(
        (2, 19, 40, 40, 96, (3, 3), 1, 1, 1, 1, 1), dtype=torch.float32
    ),
    "grouped": lambda: run_torch((2, 24, 41, 39, 96, (3, 3), 4, 2, 1, 1, 1), dtype=torch.float32),
    "per channel": lambda: run_torch(
        (2, 67, 41, 39, 67, (3, 3), 67, 1, 1, 1, 1), dtype=torch.float32
    ),
    "deform_gate": lambda: run_gate(size=(2, 96, 40, 40), squeezed=19, dtype=torch.float32),
    "odd gate": lambda: run_gate(size=(2, 67, 41, 39), squeezed=13, dtype=torch.float32),
    "late stage": lambda: run_gate(size=(1, 1024, 14, 14), squeezed=204, dtype=torch.float32),
    "last stage": lambda: run_gate(size=(1, 2048, 7, 7), squeezed=409, dtype=torch.float32),
    "bfloat16": lambda: run_gate(size=(1, 256, 56, 56), squeezed=51, dtype=torch.bfloat16),
    "5x5 in float64": lambda: run_gate(size=(1, 100, 40, 40), squeezed=20, kernel=(5, 5)),
    "gate_epilogue": lambda: leaf_gradients(gate_epilogue, epilogue((2, 96, 40, 40))),
    "odd epilogue": lambda: leaf_gradients(gate_epilogue, epilogue((3, 130, 30, 31))),
}


def epilogue(size):
    found = make_gate(size, dtype=torch.float32)
    names = ("x", "ln_weight", "ln_bias")
    return {"mixed": found["x"].flip(0), **{name: found[name] for name in names}}


def with_threads(count, run):
    torch.set_num_threads(count)
    try:
        return run()
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("name", OPERATORS)
def test_repeated_runs_agree_to_the_bit(name):
    """On a CPU everything is deterministic; there is no other mode to fall out of."""
    first, again = (with_threads(2, OPERATORS[name]) for _ in range(2))
    assert_runs(again, first, assert_bits)


@pytest.mark.parametrize("name", OPERATORS)
def test_one_and_two_threads_agree_to_the_bit(name):
    one, two = (with_threads(threads, OPERATORS[name]) for threads in (1, 2))
    assert_runs(two, one, assert_bits)

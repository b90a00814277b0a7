"""Numbers made of measured ones: means, spreads, exponents, roofs."""

import pytest
import torch
from bench_tools import scaling_rows

from foveate.bench.cases import EIGHT, ONE, Case, chosen
from foveate.bench.roofline import Rates, gate_cost, measure_rates, op_cost, roofs
from foveate.bench.scaling import growth
from foveate.bench.statistics import geometric_mean, power_law, spread


def test_the_geometric_mean_treats_gains_and_losses_alike():
    assert geometric_mean([4.0, 0.25]) == pytest.approx(1)
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4)
    for bad in ([], [1.0, 0.0], [-1.0]):
        with pytest.raises(ValueError, match="positive ratios"):
            geometric_mean(bad)


def test_the_spread_is_the_distance_of_the_quartiles():
    assert spread([5.0]) == (5.0, 0.0)
    assert spread([1, 2, 3, 4, 100]) == (3, 2)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.85, 2.0])
def test_exact_power_laws_are_found(exponent):
    x = [100, 300, 1000, 5000]
    law = power_law(x, [0.03 * one**exponent for one in x])
    assert law.exponent == pytest.approx(exponent)
    assert law.factor == pytest.approx(0.03)
    assert (law.low, law.high, law.points) == (100, 5000, 4)


@pytest.mark.parametrize("points", [([1], [1]), ([1, 1], [1, 2]), ([1, 2], [1, -1]), ([1, 2], [1])])
def test_a_law_needs_two_positive_points(points):
    with pytest.raises(ValueError, match="two points"):
        power_law(*points)


def test_exponents_leave_small_maps_out():
    rows = scaling_rows()
    law = growth(rows, "self-attention", "forward", "min_ms")
    assert law.exponent == pytest.approx(2)
    assert (law.low, law.high, law.points) == (1600, 102400, 4)
    assert growth(rows, "gate", "forward+backward", "memory_mib").exponent == pytest.approx(1)
    assert growth(rows[:8], "gate", "forward", "min_ms") is None  # two points above the border


@pytest.mark.parametrize(
    ("case", "giga", "mega"),
    [
        (Case(1, 512, 28, 28), 0.865, 8.5),
        (Case(1, 2048, 7, 7), 0.832, 35.5),
        (Case(1, 64, 56, 56), 0.070, 3.7),
        (Case(1, 256, 200, 304), 17.66, 250),
        (Case(8, 1024, 14, 14), 6.74, 33.3),
    ],
)
def test_operations_and_bytes_of_the_gate(case, giga, mega):
    operations, size = gate_cost(case, 4)
    assert operations / 1e9 == pytest.approx(giga, abs=0.005)
    assert size / 1e6 == pytest.approx(mega, rel=0.01)
    assert op_cost(case, 4)[0] < operations


def test_the_roof_is_the_slower_of_arithmetic_and_memory():
    fast = Rates({"float32": 1000.0}, 1.0)
    slow = Rates({"float32": 1.0}, 1000.0)
    cost = (2_000_000_000, 8_000_000)
    assert roofs(cost, torch.float32, fast) == {"forward": 8.0, "forward+backward": 8.0}
    assert roofs(cost, torch.float32, slow) == {"forward": 2000.0, "forward+backward": 6000.0}


def test_rates_are_measured():
    rates = measure_rates([torch.float32], "cpu", quick=True)
    assert rates.gemm_gflops["float32"] > 0.1
    assert rates.bandwidth_gbs > 0.1


def test_cases_are_chosen_by_pattern():
    assert chosen("gate") == [*ONE, *EIGHT]
    assert [case.name for case in chosen("op", ["1x512x*", "8x64x*"])] == [
        "1x512x28x28",
        "1x512x7x7",
        "1x512x100x152",
        "8x64x56x56",
    ]
    with pytest.raises(ValueError, match=r"matches a case of gate; got nine; known: 1x256x56x56"):
        chosen("gate", ["nine"])

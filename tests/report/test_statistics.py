"""Means, intervals, paired tests and Holm's correction."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.report.statistics import compare, estimate, holm

stats = pytest.importorskip("scipy.stats")


def test_the_interval_is_that_of_scipy():
    values = [0.61, 0.66, 0.58, 0.7]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 3, loc=found.mean, scale=stats.sem(values))
    assert found.mean == pytest.approx(0.6375)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def test_one_value_has_no_interval():
    found = estimate([0.5])
    assert found.mean == 0.5 and found.count == 1
    assert found.half_width is None and found.low is None and found.high is None
    with pytest.raises(ValueError, match="at least one"):
        estimate([])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=9))
def test_the_paired_test_is_that_of_scipy(pairs):
    ours, base = zip(*pairs, strict=True)
    gaps = [a - b for a, b in pairs]
    if max(gaps) - min(gaps) < 1e-6:
        return
    found = compare(dict(enumerate(ours)), dict(enumerate(base)))
    want = stats.ttest_rel(ours, base)
    assert found.p == pytest.approx(want.pvalue, rel=1e-6, abs=1e-12)
    interval = want.confidence_interval(0.95)
    got = (found.difference.low, found.difference.high)
    assert got == pytest.approx(tuple(interval), rel=1e-6, abs=1e-9)


def test_pairs_are_made_by_seed_not_by_order():
    found = compare({2: 0.9, 0: 0.5, 7: 0.1}, {0: 0.4, 2: 0.7, 5: 0.0})
    assert found.difference.count == 2
    assert found.difference.mean == pytest.approx((0.2 + 0.1) / 2)
    assert compare({0: 1.0}, {1: 1.0}) is None


def test_one_seed_is_not_tested():
    found = compare({0: 0.9}, {0: 0.5})
    assert found.p is None and "one seed" in found.why_untested
    assert found.difference.mean == pytest.approx(0.4)


def test_equal_differences_claim_no_certainty():
    found = compare({0: 0.9, 1: 0.8}, {0: 0.5, 1: 0.4})
    assert found.p is None and "same amount" in found.why_untested
    same = compare({0: 0.9, 1: 0.8}, {0: 0.9, 1: 0.8})
    assert same.p == 1.0


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": None, "b": 0.2}) == {"a": None, "b": 0.2}
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_nothing_and_bonferroni_and_keeps_the_order(values):
    p_values = {str(index): value for index, value in enumerate(values)}
    found = holm(p_values)
    for name, p in p_values.items():
        assert p <= found[name] <= min(1.0, p * len(values)) + 1e-15
    order = sorted(p_values, key=lambda name: p_values[name])
    assert all(found[a] <= found[b] for a, b in itertools.pairwise(order))
    assert math.isfinite(sum(found.values()))

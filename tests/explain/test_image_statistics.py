"""Bootstrap intervals and sign-flip tests: against enumeration, SciPy, and their own promise."""

import itertools
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.explain.statistics import bootstrap, paired


def test_the_mean_leaves_nan_out_and_counts_it():
    found = bootstrap([0.5, math.nan, 0.75, 1.0, math.nan])
    assert (found.mean, found.count, found.left_out) == (0.75, 3, 2)
    assert 0.5 <= found.low < 0.75 < found.high <= 1
    tensor = bootstrap(torch.tensor([0.5, math.nan, 0.75, 1.0, math.nan], requires_grad=True))
    assert tensor == found


def test_too_few_values_have_no_interval():
    none, one, same = bootstrap([math.nan]), bootstrap([0.3, math.nan]), bootstrap([0.1] * 7)
    assert math.isnan(none.mean) and (none.count, none.left_out) == (0, 1)
    assert one.mean == 0.3 and math.isnan(one.low) and math.isnan(one.high) and one.count == 1
    assert same.low == same.mean == same.high == pytest.approx(0.1)
    assert bootstrap([]).count == 0


def test_it_is_deterministic_and_moves_with_the_seed():
    values = np.random.default_rng(0).random(30)
    state = np.random.get_state()[1].copy()
    assert bootstrap(values) == bootstrap(values)
    assert bootstrap(values, seed=1).low != bootstrap(values, seed=2).low
    assert (np.random.get_state()[1] == state).all()


SAMPLES = {
    "skewed": np.linspace(0, 1, 10) ** 5,
    "hits": np.array([1.0] * 43 + [0.0] * 17),
}


@pytest.mark.parametrize(("name", "confidence"), [("skewed", 0.95), ("hits", 0.9)])
def test_it_agrees_with_scipy(name, confidence):
    stats = pytest.importorskip("scipy.stats")
    values = SAMPLES[name]
    found = bootstrap(values, confidence=confidence, resamples=400_000)
    want = stats.bootstrap(
        (values,), np.mean, confidence_level=confidence, n_resamples=400_000, method="BCa",
        rng=np.random.default_rng(5), batch=50_000,
    ).confidence_interval  # fmt: skip
    # Means of 0 and 1 lie on a lattice of 1/60, and an end may fall to the next point.
    slack = 0.01 * (want.high - want.low) if name == "skewed" else 1.01 / 60
    assert found.low == pytest.approx(want.low, abs=slack)
    assert found.high == pytest.approx(want.high, abs=slack)


def test_a_skewed_sample_has_a_skewed_interval():
    values = np.array([0.0] * 18 + [0.2, 1.0])
    found = bootstrap(values, resamples=20000)
    assert found.high - found.mean > 1.5 * (found.mean - found.low)
    mirrored = bootstrap(-values, resamples=20000)
    assert mirrored.low == pytest.approx(-found.high, abs=0.02)


def test_large_samples_have_the_normal_interval():
    values = np.random.default_rng(1).normal(0.6, 0.2, 4000)
    half = 1.96 * values.std(ddof=1) / math.sqrt(4000)
    found = bootstrap(values, resamples=4000)
    assert found.low == pytest.approx(values.mean() - half, abs=0.08 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.08 * half)
    narrow = bootstrap(values, confidence=0.5, resamples=4000)
    assert (narrow.high - narrow.low) / (2 * half) == pytest.approx(0.6745 / 1.96, rel=0.08)


def test_the_interval_stays_in_the_range_of_the_values_and_shifts_with_them():
    values = np.random.default_rng(2).random(12)
    found, moved = bootstrap(values), bootstrap(values + 5)
    assert values.min() <= found.low < found.mean < found.high <= values.max()
    assert (moved.low, moved.high) == pytest.approx((found.low + 5, found.high + 5))


@pytest.mark.parametrize(
    ("count", "skewed", "least"), [(10, True, 0.87), (30, True, 0.92), (100, True, 0.93),
                                   (30, False, 0.92), (100, False, 0.93)],
)  # fmt: skip
def test_the_interval_covers_the_truth_as_often_as_it_says(count, skewed, least):
    generator = np.random.default_rng(6)
    alpha, beta = (0.5, 2.0) if skewed else (2.0, 2.0)
    truth, hits, trials = alpha / (alpha + beta), 0, 1500
    for trial in range(trials):
        found = bootstrap(generator.beta(alpha, beta, count), resamples=1000, seed=trial)
        hits += found.low <= truth <= found.high
    assert least <= hits / trials <= 0.965, hits / trials


def plain_p(differences):
    """Share of all sign patterns whose sum is as far from 0, in exact arithmetic."""
    exact = [Fraction(value) for value in differences]
    seen = abs(sum(exact))
    sums = [
        abs(sum(sign * value for sign, value in zip(signs, exact, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(exact))
    ]
    return sum(value >= seen for value in sums) / len(sums)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=7))
def test_few_images_are_tested_exactly(steps):
    differences = [step / 8 for step in steps]
    found = paired(differences, [0.0] * len(steps), resamples=10)
    assert found.p == pytest.approx(plain_p(differences), abs=1e-15)
    assert found.count == len(steps)


def test_sums_that_are_equal_but_for_rounding_count_as_equal():
    # 0.1 + 0.2 - 0.3 is 5.6e-17, not 0: of eight patterns all are as far from 0 as that.
    assert paired([0.1, 0.2, -0.3], [0.0, 0.0, 0.0]).p == 1
    assert paired([0.3, 0.1, 0.2], [0.0, 0.0, 0.0]).p == 0.25
    assert paired([0.1, 0.7, -0.2], [0.0, 0.0, 0.0]).p == 0.75


def test_random_patterns_come_near_the_exact_p(monkeypatch):
    from foveate.explain import statistics

    differences = np.random.default_rng(3).normal(0.25, 0.5, 12)
    exact = paired(differences, np.zeros(12)).p
    assert exact == pytest.approx(plain_p(differences), abs=1e-15)
    assert 0.01 < exact < 0.5
    monkeypatch.setattr(statistics, "EXACT_IMAGES", 0)
    drawn = paired(differences, np.zeros(12), flips=50000).p
    error = math.sqrt(exact * (1 - exact) / 50000)
    assert drawn == pytest.approx(exact, abs=4 * error) and drawn != exact
    assert drawn == paired(differences, np.zeros(12), flips=50000).p
    assert drawn != paired(differences, np.zeros(12), flips=50000, seed=1).p


def test_random_patterns_that_tie_with_the_seen_one_count():
    # 15 wins and 5 losses of one size: the binomial sign test, where ties make 3/4 of the p-value.
    exact = sum(math.comb(20, wins) for wins in range(15, 21)) / 2**19
    found = paired([0.1] * 15 + [-0.1] * 5, [0.0] * 20, flips=50000)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact / 50000))


def test_images_without_a_difference_leave_the_test_exact():
    assert paired([0.25, 0.5, 0.75] + [0.1] * 40, [0.0] * 3 + [0.1] * 40).p == 0.25


def test_a_random_p_is_never_zero_and_counts_the_pattern_seen():
    ours = np.random.default_rng(0).normal(5, 0.1, 50)
    assert paired(ours, np.zeros(50), flips=199).p == 1 / 200


def test_many_images_agree_with_the_t_test():
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(8)
    base = generator.random(300)
    ours = base + generator.normal(0.01, 0.1, 300)
    want = stats.ttest_rel(ours, base).pvalue
    assert paired(ours, base).p == pytest.approx(want, abs=0.015)
    assert 0.02 < want < 0.5


def test_the_p_of_equal_networks_is_uniform():
    generator = np.random.default_rng(9)
    for count in (12, 40):
        drawn = [
            paired(generator.beta(0.5, 2, count), generator.beta(0.5, 2, count),
                   resamples=2, flips=499).p
            for _ in range(1500)
        ]  # fmt: skip
        for level in (0.05, 0.25, 0.5):
            share = float(np.mean(np.array(drawn) <= level))
            assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / 1500), (count, level)


def test_pairs_stand_on_the_images_where_both_are_defined():
    ours = torch.tensor([0.5, math.nan, 0.75, 1.0, math.nan])
    base = torch.tensor([0.25, 0.5, math.nan, 0.25, math.nan])
    found = paired(ours, base)
    assert (found.count, found.difference.count, found.difference.left_out) == (2, 2, 3)
    assert found.difference.mean == 0.5
    assert found.p == 0.5
    back = paired(base, ours)
    assert back.p == 0.5 and back.difference.mean == -0.5
    nothing = paired([math.nan], [1.0])
    assert nothing.count == 0 and math.isnan(nothing.p) and math.isnan(nothing.difference.mean)
    assert paired([0.5, 0.25], [0.5, 0.25]).p == 1


def test_the_interval_of_a_difference_is_its_bootstrap():
    ours, base = np.random.default_rng(2).random((2, 25))
    options = {"confidence": 0.8, "resamples": 50, "seed": 3}
    assert paired(ours, base, **options).difference == bootstrap(ours - base, **options)


def test_pairing_sees_what_two_intervals_do_not():
    base = np.random.default_rng(7).random(60)
    ours = base + 0.01 + np.random.default_rng(8).normal(0, 0.01, 60)
    found = paired(ours, base)
    assert found.difference.low > 0 and found.p < 0.001
    assert bootstrap(ours).low < bootstrap(base).high


def test_ten_thousand_images_need_little_memory(monkeypatch):
    from foveate.explain import statistics

    values = np.random.default_rng(0).random(10000)
    whole = paired(values, values[::-1], resamples=300, flips=300)
    tracemalloc.start()
    assert paired(values, values[::-1], resamples=300, flips=300) == whole
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    monkeypatch.setattr(statistics, "_BLOCK", 1)
    again = paired(values, values[::-1], resamples=30, flips=30)
    assert again.count == 10000 and 0 < again.p <= 1


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: bootstrap([[0.1]]), ValueError, r"bootstrap expects one value an image.*\(1, 1\)"),
        (lambda: bootstrap([math.inf]), ValueError, "bootstrap expects finite values"),
        (lambda: bootstrap([1.0], confidence=1), ValueError, r"confidence in \(0, 1\); got 1"),
        (lambda: bootstrap([1.0], resamples=0), ValueError, "resamples >= 1; got 0"),
        (lambda: bootstrap([1.0], resamples=1.5), TypeError, "an integer resamples"),
        (lambda: paired([1.0], [1.0, 2.0]), ValueError, "as many values of base as of ours, 1"),
        (lambda: paired([1.0], [1.0], flips=0), ValueError, "paired expects flips >= 1"),
    ],
)
def test_wrong_arguments_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()

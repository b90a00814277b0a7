"""Student's t against scipy and against exact values."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.report.student import quantile, two_sided_p

stats = pytest.importorskip("scipy.stats")


@settings(deadline=None, max_examples=150)
@given(st.floats(-1e4, 1e4), st.integers(1, 400))
def test_probabilities_are_those_of_scipy(t, freedom):
    want = 2 * stats.t.sf(abs(t), freedom)
    assert two_sided_p(t, freedom) == pytest.approx(want, rel=1e-7, abs=1e-300)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 29, 500])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_quantiles_are_those_of_scipy(freedom, confidence):
    want = stats.t.ppf(0.5 + confidence / 2, freedom)
    assert quantile(confidence, freedom) == pytest.approx(want, rel=1e-9)


def test_closed_forms():
    # One degree of freedom is Cauchy's distribution; two have an algebraic one.
    assert two_sided_p(1.0, 1) == pytest.approx(0.5, rel=1e-12)
    assert two_sided_p(3.0, 2) == pytest.approx(1 - 3 / math.sqrt(11), rel=1e-12)
    assert two_sided_p(0.0, 5) == 1.0
    assert two_sided_p(math.inf, 5) == 0.0
    assert math.isnan(two_sided_p(math.nan, 5))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="freedom >= 1"):
        two_sided_p(1.0, 0)
    for confidence in (0.0, 1.0):
        with pytest.raises(ValueError, match="confidence in"):
            quantile(confidence, 3)

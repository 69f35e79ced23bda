"""Kaplan–Meier against a hand calculation, and where nobody or everybody leaves."""

import numpy as np
import pytest
from scipy.stats import norm

from thermalize.metrics.statistics import kaplan_meier


def test_worked_example():
    """Steps 6, 6, 6, 7, 10 and censored 6+, 9+: S falls by 3/7, 1/3 and 1/1, so 4/7, 8/21 and 0."""
    curve = kaplan_meier(np.array([6, 6, 6, 6, 7, 9, 10]), np.array([1, 1, 1, 0, 1, 0, 1]), 0.95)
    np.testing.assert_array_equal(curve.step, [0, 6, 7, 9, 10])
    np.testing.assert_allclose(curve.survival, [1, 4 / 7, 8 / 21, 8 / 21, 0], atol=1e-15)
    assert curve.median[0] == 7


def test_interval_is_the_log_log_one():
    """Greenwood on log(−log S): S^exp(±z σ / log S) with σ² = Σ d / (n (n − d))."""
    curve = kaplan_meier(np.array([2, 5, 8, 9, 9]), np.array([1, 1, 1, 0, 0]), 0.9)
    survival = 0.6
    sigma = np.sqrt(1 / (5 * 4) + 1 / (4 * 3))
    ends = survival ** np.exp(np.array([1, -1]) * norm.ppf(0.95) * sigma / -np.log(survival))
    assert curve.survival[2] == pytest.approx(survival)
    assert [curve.low[2], curve.high[2]] == pytest.approx(ends.tolist())


def test_nobody_leaves():
    """Sixteen of sixteen: the exact lower bound is (α/2)^(1/16), and there is no median."""
    curve = kaplan_meier(np.full(16, 5000), np.zeros(16), 0.95)
    np.testing.assert_array_equal(curve.step, [0, 5000])
    np.testing.assert_array_equal(curve.survival, [1, 1])
    assert curve.low[1] == pytest.approx(0.025 ** (1 / 16))
    assert curve.high[1] == 1
    assert np.isnan(curve.median).all()


def test_everybody_leaves():
    together = kaplan_meier(np.full(16, 240), np.ones(16), 0.95)
    assert together.median == (240, 240, 240)
    assert together.high[1] == pytest.approx(1 - 0.025 ** (1 / 16))
    spread = kaplan_meier(np.arange(201, 217), np.ones(16), 0.95)
    median, low, high = spread.median
    assert median == 208
    assert 201 < low < median < high < 216


@pytest.mark.parametrize("observed", [0, 1])
def test_one_member(observed):
    curve = kaplan_meier(np.array([30]), np.array([observed]), 0.95)
    assert curve.survival[-1] == 1 - observed
    assert np.isfinite([curve.low, curve.high]).all()


def test_bounds_enclose_the_curve_and_never_rise():
    rng = np.random.default_rng(5)
    for _ in range(20):
        step, observed = rng.integers(1, 60, 12), rng.integers(0, 2, 12)
        step[observed == 0] = 60
        curve = kaplan_meier(step, observed, 0.95)
        assert np.all((curve.low <= curve.survival) & (curve.survival <= curve.high))
        assert np.all(np.diff(curve.survival) <= 0)

"""W₁ of known distributions, its binned form, and densities on the truth's bins."""

import numpy as np
import pytest
from scipy import stats

from thermalize.metrics.distributions import (
    block_counts,
    common_edges,
    density,
    truth_edges,
    wasserstein,
    wasserstein_from_counts,
)


def gaussian(mean: float, std: float, n: int = 20_001) -> np.ndarray:
    """Quantiles of a Gaussian: a sample without sampling noise."""
    return stats.norm.ppf((np.arange(n) + 0.5) / n, mean, std)


def binned(a: np.ndarray, b: np.ndarray) -> float:
    edges = common_edges([a, b])
    counts = [block_counts(x, np.zeros(x.size, int), 1, edges) for x in (a, b)]
    return float(wasserstein_from_counts(*counts, edges)[0])


@pytest.mark.parametrize("distance", [wasserstein, binned])
def test_shift_and_scale_of_gaussians(distance):
    """W₁(N(0,1), N(δ,1)) = |δ|; W₁(N(0,1), N(0,s²)) = |s − 1| √(2/π)."""
    assert distance(gaussian(0.3, 1), gaussian(0, 1)) == pytest.approx(0.3, rel=2e-3)
    assert distance(gaussian(0, 1.2), gaussian(0, 1)) == pytest.approx(0.2 * np.sqrt(2 / np.pi), rel=1e-2)
    assert distance(gaussian(0, 1), gaussian(0, 1)) == 0


@pytest.mark.parametrize("far", [30.0, 1e30])
def test_binned_distance_follows_the_exact_one_far_outside_the_truth(far):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=5000)
    wild = np.concatenate([rng.normal(size=4000), far * rng.normal(size=300)])
    assert binned(wild, truth) == pytest.approx(wasserstein(wild, truth), rel=0.02)


def test_counts_add_up_over_blocks():
    rng = np.random.default_rng(1)
    values, block = rng.normal(size=900), rng.integers(0, 5, 900)
    edges = np.linspace(-5, 5, 41)
    counts = block_counts(values, block, 6, edges)
    np.testing.assert_array_equal(counts.sum(0), np.histogram(values, edges)[0])
    np.testing.assert_array_equal(counts.sum(1), [*np.bincount(block, minlength=5), 0])


def test_density_integrates_to_the_share_inside_the_bins():
    truth = gaussian(0, 1)
    edges = truth_edges(truth, 50)
    assert edges[0] < truth.min()
    assert edges[-1] > truth.max()
    assert (density(truth, edges) * np.diff(edges)).sum() == pytest.approx(1.0)
    outside = np.where(np.arange(truth.size) % 4 == 0, 1e6, truth)
    assert (density(outside, edges) * np.diff(edges)).sum() == pytest.approx(0.75, abs=1e-3)
    centres = 0.5 * (edges[1:] + edges[:-1])
    assert np.abs(density(truth, edges) - stats.norm.pdf(centres)).max() < 0.01


def test_empty_and_constant_samples():
    assert np.isnan(wasserstein(np.zeros(0), np.ones(3)))
    assert np.isnan(density(np.zeros(0), np.array([0.0, 1.0]))).all()
    assert binned(np.full(7, 2.0), np.full(5, 2.0)) == 0

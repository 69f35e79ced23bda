"""Autocorrelation and integral time of AR(1), pattern correlation, correlation times, health."""

import numpy as np
import pytest
import xarray as xr
from store_data import recorded_by

from thermalize.metrics.dynamics import (
    autocorrelation,
    correlation,
    correlation_time,
    integral_time,
    pearson,
    pooled_autocorrelation,
)
from thermalize.metrics.families.health import rates
from thermalize.metrics.samples import Span, Standard


def trajectory(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("member", "time", "channel", "x"))


def unit(channels: int = 1) -> Standard:
    return Standard(np.zeros(channels), np.ones(channels), np.ones(channels))


def ar1(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> np.ndarray:
    """x' = ρ x + √(1−ρ²) ξ along the second axis, stationary from the start."""
    x = rng.normal(size=shape)
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


def test_ar1_has_a_geometric_autocorrelation_and_its_integral():
    """R(l) = ρ^l and T = ½ (1 + ρ) / (1 − ρ)."""
    rho = 0.8
    field = trajectory(3.0 + ar1(np.random.default_rng(2), rho, (4, 600, 1, 200)))
    r = autocorrelation(field, [Span(m, 0, 600) for m in range(4)], unit(), 40)
    np.testing.assert_allclose(r, rho ** np.arange(41), atol=0.02)
    assert integral_time(r) == pytest.approx(0.5 * (1 + rho) / (1 - rho), rel=0.05)


def test_fft_gives_the_sum_over_pairs():
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(n, 3)) for n in (17, 5, 1)]
    lags = 8
    pairs = [[(u[: len(u) - lag] * u[lag:]) for u in blocks if len(u) > lag] for lag in range(lags + 1)]
    direct = np.array([sum(p.sum() for p in some) / sum(p.size for p in some) for some in pairs])
    np.testing.assert_allclose(pooled_autocorrelation(blocks, lags), direct / direct[0], rtol=1e-12)


def test_frozen_pattern_never_forgets_and_motion_is_seen():
    """A standing wave keeps R = 1; one that moves a quarter of its length per step has R = cos(π l / 2)."""
    x = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    frozen = np.broadcast_to(np.sin(x), (1, 40, 1, 16))
    moving = np.sin(x - 0.5 * np.pi * np.arange(40)[:, None])[None, :, None]
    spans = [Span(0, 0, 40)]
    np.testing.assert_allclose(autocorrelation(trajectory(frozen), spans, unit(), 4), 1.0)
    np.testing.assert_allclose(autocorrelation(trajectory(moving), spans, unit(), 4), [1, 0, -1, 0, 1], atol=1e-12)


def test_integral_time_stops_at_the_first_zero_crossing():
    assert integral_time(np.array([1.0, 0.5, -0.1, 0.9])) == pytest.approx(1.0)
    assert integral_time(np.array([1.0, 0.5, 0.25])) == pytest.approx(1.25)
    assert np.isnan(integral_time(np.array([np.nan, np.nan])))


def test_nothing_to_correlate():
    field = trajectory(np.zeros((1, 5, 1, 8)))
    assert np.isnan(autocorrelation(field, [], unit(), 3)).all()
    assert np.isnan(autocorrelation(field, [Span(0, 0, 5)], unit(), 3)).all()


def test_pearson_ignores_offset_and_scale_of_every_channel():
    rng = np.random.default_rng(4)
    u = rng.normal(size=(6, 2, 32))
    scale, offset = np.array([2.0, 2.0])[:, None], np.array([5.0, -3.0])[:, None]
    np.testing.assert_allclose(pearson(u, scale * u + offset, np.ones(2)), 1.0)
    np.testing.assert_allclose(pearson(u, -u, np.array([0.1, 7.0])), -1.0)
    assert np.abs(pearson(u, rng.normal(size=u.shape), np.ones(2))).max() < 0.6
    np.testing.assert_array_equal(pearson(u, np.zeros_like(u), np.ones(2)), 0.0)


def test_correlation_starts_where_the_rollout_did_and_ends_with_the_truth():
    rng = np.random.default_rng(6)
    truth = rng.normal(size=(3, 20, 1, 16))
    starts = [(2, 0), (0, 15)]
    rollout = np.full((2, 31, 1, 16), np.nan)
    rollout[0, :20] = truth[2]
    rollout[0, 8:] = np.nan  # lost at step 8
    rollout[1, :5] = truth[0, 15:]
    rollout[1, 5:] = 1.0
    parts = [(0, 6), (6, 7), (7, 31)]
    blocks = [correlation(trajectory(truth), rollout[:, a:b], a, starts, [7, 30], np.ones(1)) for a, b in parts]
    values = np.concatenate(blocks, axis=1)[:, :20]
    np.testing.assert_allclose(values[0], [1.0] * 8 + [0.0] * 12)
    np.testing.assert_allclose(values[1, :5], 1.0)
    assert np.isnan(values[1, 5:]).all()
    assert np.isnan(np.concatenate(blocks, axis=1)[:, 20:]).all()
    np.testing.assert_array_equal(correlation_time(values, [0.8, 0.95]), [[8, 4], [8, 4]])


def test_correlation_time_is_the_first_crossing_of_each_member():
    values = np.array([[1.0, 0.9, 0.85, 0.96, 0.1], [1.0, 1.0, 1.0, 0.7, 0.99]])
    np.testing.assert_array_equal(correlation_time(values, [0.8, 0.9, 0.95]), [[4, 3], [2, 3], [1, 3]])


def test_health_counts_living_steps_only():
    level = np.array([[-1, 3, -1, 7, 99], [-1, 2, 99, 99, 99]])
    reverse = np.array([[0, 0, 0, 6, 99], [0, 0, 99, 99, 99]])
    rescaled = np.array([[0, 0, 2, 1, 99], [0, 0, 99, 99, 99]])
    series = {"level": level, "reverse_steps": reverse, "rescaled": rescaled}
    variables = {name: (("member", "time"), values) for name, values in series.items()}
    rollout = xr.Dataset(variables, attrs=recorded_by(*series))
    found = rates(rollout, np.array([3, 1]))
    assert found["trigger_rate"] == pytest.approx(1 / 4)
    assert found["level_evaluations_per_step"] == pytest.approx(3 / 4)
    assert found["reverse_steps_per_step"] == pytest.approx(6 / 4)
    assert found["network_evaluations_per_step"] == pytest.approx(1 + 3 / 4 + 6 / 4)
    assert found["rescaled_bands_per_step"] == pytest.approx(3 / 4)
    assert np.isnan(list(rates(rollout, np.array([0, 0])).values())).all()

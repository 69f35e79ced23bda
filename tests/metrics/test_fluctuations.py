"""Slow fluctuations: ratios that are known, and what they are for: a rollout that is held at its mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thermalize.metrics.dynamics import slow_fluctuations

WINDOW = 20


def slow(members: int = 200, windows: int = 6, bands: int = 3, seed: int = 0) -> np.ndarray:
    """Variances (member, time, band) that are log-normal from window to window and constant within."""
    values = np.exp(np.random.default_rng(seed).normal(size=(members, windows, bands)))
    return values.repeat(WINDOW, axis=1)


@given(power=st.floats(0.1, 3), scale=st.floats(1e-6, 1e6))
def test_powers_and_scales(power: float, scale: float) -> None:
    """ln of c E^p fluctuates p times as much as ln E."""
    truth = slow()
    assert slow_fluctuations(scale * truth**power, truth, WINDOW) == pytest.approx(power)


def test_independent_truth_is_one_within_its_sampling_error() -> None:
    assert slow_fluctuations(slow(seed=1), slow(seed=2), WINDOW) == pytest.approx(1, abs=0.05)


def test_fast_fluctuations_average_out() -> None:
    """Of n independent frames in a window the standard deviation of the mean falls as n^(−1/2)."""
    rng = np.random.default_rng(0)
    noise = 1 + 0.01 * rng.normal(size=(500, 8 * WINDOW, 2))
    held = 1 + 0.01 * rng.normal(size=(500, 8, 2)).repeat(WINDOW, axis=1)
    assert slow_fluctuations(noise, held, WINDOW) == pytest.approx(WINDOW**-0.5, rel=0.05)


def test_bands_are_averaged_as_ratios() -> None:
    truth = slow(bands=2)
    changed = truth.copy()
    changed[..., 0] **= 4
    assert slow_fluctuations(changed, truth, WINDOW) == pytest.approx(2)


def test_windows_with_a_lost_state_do_not_count_and_the_first_frames_are_left_over() -> None:
    truth = slow()
    lost = truth.copy()
    lost[::2, WINDOW - 1 :] = np.nan
    assert slow_fluctuations(lost, truth, WINDOW) == slow_fluctuations(truth[1::2], truth, WINDOW)
    begun = np.concatenate([1e9 * truth[:, : WINDOW - 1], truth], axis=1)
    assert slow_fluctuations(begun, truth, WINDOW) == pytest.approx(1)


def test_missing_with_less_than_two_windows_and_zero_where_nothing_moves() -> None:
    truth = slow()
    assert np.isnan(slow_fluctuations(truth[:1, :WINDOW], truth, WINDOW))
    assert np.isnan(slow_fluctuations(truth[:, : WINDOW - 1], truth, WINDOW))
    assert slow_fluctuations(np.ones_like(truth), truth, WINDOW) == 0

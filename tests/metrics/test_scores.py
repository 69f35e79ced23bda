"""Scores against closed forms: Gaussian forecasts, reliable and over-confident ensembles, any number of members."""

from __future__ import annotations

import numpy as np
import pytest
from ensemble_data import gaussian_crps
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thermalize.metrics.cases import frame_scores, rank_shares, reliability

POINTS = 40_000


def gaussian(members: int, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and members around a predictable signal, (time, channel, x): the truth scatters with 1."""
    rng = np.random.default_rng([seed, members])
    signal = rng.normal(size=(1, 1, POINTS)) * 3
    return signal + rng.normal(size=signal.shape), signal + spread * rng.normal(size=(members, *signal.shape))


@pytest.mark.parametrize("members", [2, 5, 20])
@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (0.7, 0.4)])
def test_fair_crps_is_that_of_the_distribution_for_every_number_of_members(members, mu, sigma):
    rng = np.random.default_rng(members)
    y = rng.normal(size=(1, 1, POINTS))
    crps = frame_scores(y, mu + sigma * rng.normal(size=(members, *y.shape)))[0, 0]
    assert crps == pytest.approx(gaussian_crps(mu, sigma, y).mean(), abs=0.01)


def test_a_reliable_ensemble_has_spread_equal_to_skill_and_flat_ranks():
    members = 9
    truth, ensemble = gaussian(members)
    _, square, variance = frame_scores(truth, ensemble)
    assert variance[0] == pytest.approx(1, rel=0.01)
    assert square[0] == pytest.approx(1 + 1 / members, rel=0.02)
    assert reliability(variance, square, members)[0] == pytest.approx(1, abs=0.01)
    shares = rank_shares(truth[0], ensemble[:, 0], np.random.default_rng(0))
    np.testing.assert_allclose(shares, 1 / (members + 1), atol=0.006)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_the_wrong_spread_shows_in_ratio_ranks_and_crps(spread):
    """Variance s², mean squared error 1 + s²/M; too little spread leaves the truth outside, too much inside."""
    members = 9
    truth, ensemble = gaussian(members, spread)
    crps, square, variance = frame_scores(truth, ensemble)
    expected = np.sqrt((members + 1) / members) * spread / np.sqrt(1 + spread**2 / members)
    assert reliability(variance, square, members)[0] == pytest.approx(expected, rel=0.02)
    shares = rank_shares(truth[0], ensemble[:, 0], np.random.default_rng(0)) * (members + 1)
    assert (shares[[0, -1]].mean() > 1.5) == (spread < 1)
    assert (shares[4:6].mean() > 1.5) == (spread > 1)
    assert crps[0] > frame_scores(*gaussian(members))[0, 0] + 0.02


def test_identical_members_have_no_spread_and_the_absolute_error():
    rng = np.random.default_rng(1)
    truth, one = rng.normal(size=(2, 3, 2, 5))
    scores = frame_scores(truth, np.stack([one] * 7))
    np.testing.assert_array_equal(scores[0], np.abs(truth - one).mean(axis=(1, 2)))
    np.testing.assert_allclose(scores[1], ((truth - one) ** 2).mean(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_array_equal(scores[2], 0)
    np.testing.assert_array_equal(reliability(scores[2], scores[1], 7), 0)
    assert np.isnan(reliability(np.zeros(1), np.zeros(1), 7)).all()
    shares = rank_shares(truth[0], np.stack([one[0]] * 7), rng)
    assert shares[1:-1].sum() == 0
    assert shares[0] == (truth[0] < one[0]).mean()


@given(hnp.arrays(float, (4, 2, 1, 3), elements=st.floats(-5, 5, width=32)), st.randoms(use_true_random=False))
def test_scores_are_the_sums_of_their_definition_in_any_order_and_place(values, random):
    truth, members = values[0], values[1:]
    count = len(members)
    pairs = np.abs(members[:, None] - members[None]).sum(axis=(0, 1))
    crps = np.abs(members - truth).mean(axis=0) - pairs / (2 * count * (count - 1))
    expected = np.stack([crps, (members.mean(axis=0) - truth) ** 2, members.var(axis=0, ddof=1)]).mean(axis=(2, 3))
    order = random.sample(range(count), count)
    np.testing.assert_allclose(frame_scores(truth + 2, members[order] + 2), expected, atol=1e-12)


def test_ranks_of_ties_are_drawn_evenly_and_lost_members_have_none():
    truth = np.zeros((1, 30_000))
    shares = rank_shares(truth, np.zeros((3, *truth.shape)), np.random.default_rng(2))
    np.testing.assert_allclose(shares, 0.25, atol=0.01)
    assert np.isnan(rank_shares(truth, np.full((3, *truth.shape), np.nan), np.random.default_rng(2))).all()

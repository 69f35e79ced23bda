"""Block resampling: weights, coverage of intervals, the noise floor; and which frames are compared."""

import numpy as np
import pytest
import xarray as xr

from thermalize.config import DiagnosticsConfig
from thermalize.metrics.distances import compare
from thermalize.metrics.invariants import velocity
from thermalize.metrics.samples import Sample, Span, collect, final_frames, halves, joined, matched_members
from thermalize.metrics.samples import standardise as standard_of
from thermalize.metrics.spectra import Shells
from thermalize.metrics.statistics import bootstrap_weights, interval, mean_weights, recentred, resplit_weights


def test_every_draw_holds_as_many_blocks_as_its_members_bring():
    member = np.repeat([3, 5, 9], [4, 4, 4])
    weights = bootstrap_weights(member, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(weights.sum(1), 12)
    by_member = weights.reshape(200, 3, 4).sum(-1)
    assert set(np.unique(by_member % 4)) == {0}
    assert by_member.max() == 12


def test_interval_of_a_mean_covers_it():
    """Members that differ and blocks that differ, on 300 samples of 8 × 6: nominal 90 %, never far below."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        values = rng.normal(size=(8, 1)) * 0.5 + rng.normal(size=(8, 6))
        weights = bootstrap_weights(np.repeat(np.arange(8), 6), 200, rng)
        low, high = interval(weights @ values.ravel()[:, None] / weights.sum(1, keepdims=True), 0.9)
        hits += bool(low[0] <= 0 <= high[0])
    assert 0.84 < hits / 300 < 0.99


def test_recentred_interval_holds_its_estimate_and_scales_with_it():
    draws = np.random.default_rng(2).gamma(20, 0.1, 4000)
    low, high = recentred(0.5, draws, 0.95)
    assert low < 0.5 < high
    assert recentred(1.0, draws, 0.95) == pytest.approx((2 * low, 2 * high))
    assert recentred(0.0, draws, 0.95) == (0.0, 0.0)
    assert np.isnan(recentred(np.nan, draws, 0.95)).all()
    assert np.isnan(recentred(1.0, np.full(5, np.nan), 0.95)).all()


def test_interval_leaves_out_draws_that_hold_nothing():
    draws = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    low, high = interval(draws, 0.5)
    assert low[0] == pytest.approx(1.5)
    assert high[0] == pytest.approx(2.5)
    assert np.isnan([low[1], high[1]]).all()


@pytest.mark.parametrize("members", [2, 8])
def test_halves_are_dealt_without_overlap(members):
    member, rank = np.repeat(np.arange(members), 5), np.tile(np.arange(5)[::-1], members)
    half = members // 2
    reference, floor = resplit_weights(member, rank, (half, half), 5, 100, np.random.default_rng(0))
    assert (reference * floor).max() == 0
    np.testing.assert_array_equal(reference + floor, 1)
    assert np.unique(reference, axis=0).shape[0] > 30
    short = resplit_weights(member, rank, (half, half), 2, 100, np.random.default_rng(0))[1]
    np.testing.assert_array_equal(short.sum(1), 2 * half)


def test_whole_members_are_dealt_where_there_are_enough():
    member, rank = np.repeat(np.arange(8), 5), np.tile(np.arange(5)[::-1], 8)
    reference, _ = resplit_weights(member, rank, (4, 4), 5, 50, np.random.default_rng(0))
    assert set(np.unique(reference.reshape(50, 8, 5).sum(-1))) == {0, 5}


def test_independent_units_drawn_with_replacement():
    weights = mean_weights(6, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(weights.sum(1), 6)
    assert weights.max() > 1


def test_halves_of_the_truth():
    assert halves(6) == ([0, 2, 4], [1, 3, 5])
    assert halves(5) == ([0, 2], [1, 3])
    assert halves(1) == ([], [])


def test_rollouts_that_started_from_the_floor_half_come_first():
    assert matched_members([0, 1, 2, 3], [1, 3]) == [1, 3]
    assert matched_members([0, 2, 4, 1], [1, 3, 5]) == [0, 1, 3]
    assert matched_members([0, 2], [1, 3, 5]) == [0, 1]


def test_final_pieces_take_the_last_finite_frames():
    assert final_frames([0, 2, 3], [99, 5, 30, 0], 20, first=1) == [Span(0, 80, 100), Span(2, 11, 31)]
    assert final_frames([1], [99, 5], 20, first=1) == [Span(1, 1, 6)]


def noise(rng: np.random.Generator, members: int, frames: int, n: int = 16) -> xr.DataArray:
    return xr.DataArray(rng.normal(size=(members, frames, 1, n)), dims=("member", "time", "channel", "x"))


SHELLS = Shells((16,), (2 * np.pi,))
STATE = velocity(SHELLS)
VARYING = np.arange(9)[None] >= 1


def whole(field: xr.DataArray, members: list[int], block: int = 5, values: int = 10**6) -> Sample:
    spans = [Span(m, 0, field.shape[1]) for m in members]
    return collect(field, spans, STATE, standard_of(field, spans), block, values)


def test_blocks_are_counted_back_from_the_end():
    sample = whole(noise(np.random.default_rng(0), 2, 13), [0, 1])
    np.testing.assert_array_equal(sample.frames, [3, 5, 5, 3, 5, 5])
    np.testing.assert_array_equal(sample.rank, [2, 1, 0, 2, 1, 0])
    np.testing.assert_array_equal(sample.member, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(np.bincount(sample.field_block), sample.frames * 16)
    np.testing.assert_array_equal(np.bincount(sample.increment_block), [2 * 16, 80, 80] * 2)


def test_sample_holds_standardised_values_and_the_spectrum():
    field = noise(np.random.default_rng(0), 2, 40) * 3 + 7
    sample = whole(field, [0, 1])
    assert sample.field.mean() == pytest.approx(0, abs=1e-12)
    assert sample.field.std() == pytest.approx(1)
    assert np.sqrt((sample.increment**2).mean()) == pytest.approx(1)
    np.testing.assert_allclose(sample.mean_spectrum, SHELLS.spectrum(field.to_numpy()).mean((0, 1)))


def test_a_piece_takes_its_first_increment_from_the_frame_before():
    field = noise(np.random.default_rng(0), 1, 9)
    sample = collect(field, [Span(0, 8, 9)], STATE, standard_of(field, [Span(0, 0, 9)]), 5)
    assert sample.field.size == sample.increment.size == 16


def test_subsample_is_bounded_and_visits_every_point():
    field = noise(np.random.default_rng(0), 2, 200)
    field[...] = np.arange(16)
    sample = whole(field, [0, 1], values=700)
    assert 500 < sample.field.size <= 700
    assert np.unique(sample.field).size == 16


def test_empty_sample():
    field = noise(np.random.default_rng(0), 2, 9)
    empty = collect(field, [], STATE, standard_of(field, [Span(0, 0, 9)]), 5)
    assert empty.frames.size == 0
    assert np.isnan(empty.mean_spectrum).all()


def floors(frames: int, repeats: int = 8) -> tuple[float, float]:
    """Mean noise floors of the log-spectral distance and of W₁ over white noise of so many frames a member."""
    rng = np.random.default_rng(frames)
    found = []
    for _ in range(repeats):
        comparison = compared(noise(rng, 8, frames), noise(rng, 4, frames))
        found.append((comparison.spectral(VARYING, 0.0).floor, comparison.wasserstein("field").floor))
    spectral, field = np.mean(found, axis=0)
    return float(spectral), float(field)


def compared(truth: xr.DataArray, rollout: xr.DataArray, resamples: int = 5):
    reference, floor = (whole(truth, half) for half in halves(truth.shape[0]))
    sample, pool = whole(rollout, list(range(rollout.shape[0]))), joined([reference, floor])
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    config = DiagnosticsConfig(resamples=resamples)
    return compare(reference, sample, pool, np.unique(floor.member).size, 100, config, *rngs)


def test_floor_shrinks_as_one_over_the_root_of_the_sample():
    small, large = floors(20), floors(320)
    assert large[0] == pytest.approx(small[0] / 4, rel=0.3)
    assert large[1] == pytest.approx(small[1] / 4, rel=0.4)


def test_truth_against_itself_is_at_distance_zero():
    truth = noise(np.random.default_rng(0), 4, 30)
    reference = truth[[0, 2]]
    comparison = compared(truth, reference)
    assert comparison.spectral(VARYING, 0.0).value == 0
    for name in ("field", "increment"):
        assert comparison.wasserstein(name).value == pytest.approx(0, abs=1e-12)


def test_good_rollouts_are_within_the_floor_and_bad_ones_above():
    rng = np.random.default_rng(5)
    inside, above = 0, 0
    for _ in range(25):
        truth, good = noise(rng, 16, 30), noise(rng, 8, 30)
        for rollout, bad in ((good, False), (1.5 * good, True)):
            found = compared(truth, rollout, 100).spectral(VARYING, 0.0)
            inside += not bad and found.floor_low <= found.value <= found.floor_high
            above += bad and found.value > found.floor_high and found.low > found.floor
    assert inside >= 20
    assert above == 25

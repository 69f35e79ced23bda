"""The stable horizon: each cause injected at a known step, precedence, censoring, and no false alarms."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from thermalize.metrics.invariants import velocity
from thermalize.metrics.series import Series, series
from thermalize.metrics.spectra import Band, Shells
from thermalize.metrics.stability import CAUSES, Envelope, envelope, horizon

BANDS = [Band(0, 1, 3), Band(0, 4, 7)]
WINDOW, FROZEN_STEPS = 10, 20


def truth_series(rng: np.random.Generator, members: int, frames: int) -> Series:
    """Positive fluctuations about one, as spectra and energies have them."""

    def draw(*shape: int) -> np.ndarray:
        return rng.gamma(50.0, 1 / 50.0, (members, frames, *shape))

    increment = draw(1)
    increment[:, 0] = np.nan
    return Series(draw(), draw(), draw(len(BANDS)), increment)


@pytest.fixture
def limits() -> Envelope:
    return envelope(truth_series(np.random.default_rng(0), 8, 300), BANDS, WINDOW, 0.01, FROZEN_STEPS)


@pytest.fixture
def run() -> Series:
    return truth_series(np.random.default_rng(1), 3, 200)


def judge(run: Series, limits: Envelope, lost: tuple[int, ...] = (-1, -1, -1)) -> list[tuple[int, int, str]]:
    found = horizon(run, limits, np.array(lost))
    return [(int(s), int(o), CAUSES[c]) for s, o, c in zip(found.step, found.observed, found.cause, strict=True)]


CENSORED = (199, 0, "stable")


def test_truth_stays_inside(run, limits):
    assert judge(run, limits) == [CENSORED] * 3


def test_thresholds_are_the_published_ones(limits):
    truth = truth_series(np.random.default_rng(0), 8, 300)
    low, high = np.quantile(truth.energy, [0.001, 0.999])
    assert limits.energy == pytest.approx((low / 2, 2 * high))
    assert limits.increment == pytest.approx((0.01 * np.median(truth.increment[:, 1:]),))
    assert limits.spectrum_window == WINDOW
    assert Envelope.from_json(limits.to_json()) == limits
    windows = np.array([truth.bands[:, t - WINDOW : t, 1].mean(axis=1) for t in range(WINDOW, 301)])
    low, high = np.quantile(windows, [0.001, 0.999])
    assert limits.spectrum[1] == pytest.approx((low / 10, 3 * high))


def test_nonfinite_state(run, limits):
    for part in (run.energy, run.enstrophy, run.bands, run.increment):
        part[1, 37:] = np.nan
    assert judge(run, limits) == [CENSORED, (37, 1, "nonfinite"), CENSORED]


def test_recorded_loss(run, limits):
    assert judge(run, limits, (-1, -1, 12)) == [CENSORED, CENSORED, (12, 1, "nonfinite")]


@pytest.mark.parametrize("name", ["energy", "enstrophy"])
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_energy_and_enstrophy(run, limits, name, factor):
    getattr(run, name)[0, 55] *= factor
    assert judge(run, limits) == [(55, 1, name), CENSORED, CENSORED]


@pytest.mark.parametrize("factor", [0.0, 0.03, 30.0])
@pytest.mark.parametrize("band", [0, 1])
def test_spectrum_leaves_when_the_trailing_mean_does(run, limits, band, factor):
    """A jump at step 80 moves the mean of ten frames past its level some steps later, at the predicted one."""
    run.bands[2, 80:, band] *= factor
    mean = np.array([run.bands[2, t - WINDOW + 1 : t + 1, band].mean() for t in range(WINDOW, 200)])
    off = (mean < limits.spectrum[band][0]) | (mean > limits.spectrum[band][1])
    expected = WINDOW + int(np.argmax(off))
    assert 80 <= expected <= 80 + WINDOW
    assert judge(run, limits)[2] == (expected, 1, "spectrum")


def test_spectrum_needs_a_full_window_without_the_initial_condition(run, limits):
    run.bands[0, 0] = 1e9
    assert judge(run, limits)[0] == CENSORED
    run.bands[0, 1] = 1e9
    assert judge(run, limits)[0] == (WINDOW, 1, "spectrum")


def test_frozen_after_so_many_still_steps(run, limits):
    run.increment[1, 60:90] = 1e-4
    assert judge(run, limits)[1] == (60 + FROZEN_STEPS - 1, 1, "frozen")


def test_one_still_channel_is_enough():
    """Two channels, the second a thousand times weaker: what stops there does not hide behind the first."""
    rng = np.random.default_rng(4)
    truth, run = truth_series(rng, 8, 300), truth_series(rng, 2, 200)
    truth, run = (replace(each, increment=each.increment * [1.0, 1e-3]) for each in (truth, run))
    both = envelope(truth, BANDS, WINDOW, 0.01, FROZEN_STEPS)
    assert both.increment == pytest.approx((1e-2, 1e-5), rel=0.1)
    run.increment[1, 60:90, 1] = 1e-6
    assert judge(run, both, (-1, -1)) == [CENSORED, (60 + FROZEN_STEPS - 1, 1, "frozen")]


def test_a_shorter_pause_is_not_frozen(run, limits):
    run.increment[1, 60 : 60 + FROZEN_STEPS - 1] = 1e-4
    assert judge(run, limits)[1] == CENSORED


def test_earliest_cause_wins_and_ties_go_by_precedence(run, limits):
    run.enstrophy[0, 50] = run.energy[0, 50] = 1e3
    run.energy[0, 60:] = np.nan
    run.enstrophy[1, 40] = 1e3
    run.energy[1, 41] = 1e3
    assert judge(run, limits) == [(50, 1, "energy"), (40, 1, "enstrophy"), CENSORED]


def test_initial_condition_is_not_judged_but_the_first_step_is(run, limits):
    run.energy[:, 0] = 1e6
    run.energy[1, 1] = np.nan
    assert judge(run, limits) == [CENSORED, (1, 1, "nonfinite"), CENSORED]


def test_rollouts_shorter_than_window_and_run(limits):
    short = truth_series(np.random.default_rng(2), 3, 4)
    assert judge(short, limits) == [(3, 0, "stable")] * 3


@pytest.mark.parametrize("block", [1, 7, 10**9])
def test_series_do_not_depend_on_how_time_is_blocked(monkeypatch, block):
    rng = np.random.default_rng(3)
    u = rng.normal(size=(2, 23, 1, 16))
    u[1, 9:] = np.nan
    monkeypatch.setattr("thermalize.metrics.samples.VALUES_PER_BLOCK", block * 2 * 16)
    field = xr.DataArray(u.astype(np.float32), dims=("member", "time", "channel", "x"))
    shells = Shells((16,), (2 * np.pi,))
    found = series(field, velocity(shells), BANDS)
    u = u.astype(np.float32).astype(float)
    np.testing.assert_allclose(found.energy, 0.5 * (u**2).mean((-1, -2)), rtol=1e-12)
    np.testing.assert_allclose(found.increment[:, 1:], np.sqrt((np.diff(u, axis=1) ** 2).mean(-1)), rtol=1e-12)
    np.testing.assert_allclose(found.bands[..., 1], shells.spectrum(u)[..., 0, 4:8].sum(-1), rtol=1e-12)
    np.testing.assert_array_equal(found.last_finite, [22, 8])
    assert np.isnan(found.increment[:, 0]).all()

"""Seeds as an ensemble: scores by lead of forecasts with known error, lost members, blocks of time, climatology."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from ensemble_data import dataset, experiment, rollout

from thermalize.metrics.cases import cases, climatology, follow, ranks
from thermalize.metrics.ensemble import VARIABLES, score
from thermalize.metrics.reference import field_of
from thermalize.runtime.errors import UserError

LABELS = {"emulator": "unet", "stabilizer": "raw"}
MEMBERS, FRAMES, STEPS, SEEDS = 4, 20, 24, 3


def turbulence(seed: int = 0, members: int = 6, channels: int = 1, points: int = 16) -> np.ndarray:
    """White noise of standard deviations 1, 100, …: every climatological score is known."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(members, FRAMES, channels, points)) * 100.0 ** np.arange(channels)[:, None]


def forecasts(truth: np.ndarray, error: float = 0.3, spread: float = 0.3, seed: int = 1) -> dict[int, xr.Dataset]:
    """Rollouts by seed: the truth, an error that they share and a scatter of their own, both growing from 0."""
    rng = np.random.default_rng(seed)
    growth = np.minimum(np.arange(STEPS + 1), 5).reshape(-1, 1, 1) / 5
    own = np.concatenate([truth, np.zeros((len(truth), STEPS + 1 - FRAMES, *truth.shape[2:]))], axis=1)[:MEMBERS]
    shared = error * rng.normal(size=own.shape)
    scale = truth.std(axis=(0, 1, 3), keepdims=True)
    return {
        number: rollout(own + growth * (shared + spread * rng.normal(size=own.shape)) * scale)
        for number in range(SEEDS)
    }


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return turbulence()


def scored(truth: np.ndarray, runs: dict[int, xr.Dataset]) -> xr.Dataset:
    """In standard deviations of the reference half, as the measured truth has them."""
    std = truth[0 : 2 * (len(truth) // 2) : 2].astype(np.float64).std(axis=(0, 1, 3))
    return score(dataset(truth), std, runs, experiment(), LABELS)


@pytest.fixture(scope="module")
def result(truth) -> xr.Dataset:
    return scored(truth, forecasts(truth))


def test_the_file_says_what_it_holds(result):
    assert set(result.data_vars) == set(VARIABLES)
    for name in result.variables:
        assert result[name].attrs["long_name"], name
    assert result["truth_std"].attrs["units"] == "m s-1"
    assert result["lead_time"].attrs["units"] == "time units"
    assert result["crps"].attrs["ancillary_variables"] == "crps_low crps_high"
    np.testing.assert_array_equal(result["lead"], np.arange(1, FRAMES))
    np.testing.assert_array_equal(result["lead_time"], 0.5 * np.arange(1, FRAMES))
    np.testing.assert_array_equal(result["rank_lead"], [1, 4, 19])
    assert result.attrs["seeds"] == [0, 1, 2]


def test_errors_and_spread_are_those_that_were_put_in(result):
    late = result.isel(lead=slice(5, None)).mean("lead")
    assert float(late["spread"]) == pytest.approx(0.3, rel=0.05)
    assert float(late["rmse"]) == pytest.approx(0.3 * np.sqrt(1 + 1 / SEEDS), rel=0.05)
    assert float(late["spread_skill_ratio"]) == pytest.approx(1, rel=0.08)
    first = result.isel(lead=0)
    assert float(first["spread"]) == pytest.approx(0.06, rel=0.15)
    np.testing.assert_allclose(result["rank_histogram"].sum("rank"), 1)
    np.testing.assert_array_equal(result["initial_conditions"], MEMBERS)
    for name in ("crps", "rmse", "spread"):
        assert (result[f"{name}_low"] <= result[name]).all()
        assert (result[name] <= result[f"{name}_high"]).all()


def test_the_climatology_is_that_of_the_truth(result):
    """M + 1 independent draws of N(0, 1): fair CRPS 1/√π, root mean square error √(1 + 1/M)."""
    assert float(result["crps_climatology"]) == pytest.approx(1 / np.sqrt(np.pi), rel=0.06)
    assert float(result["rmse_climatology"]) == pytest.approx(np.sqrt(1 + 1 / SEEDS), rel=0.06)
    assert (
        float(result["crps_climatology_low"])
        < float(result["crps_climatology"])
        < float(result["crps_climatology_high"])
    )


def test_every_channel_counts_in_its_own_standard_deviations():
    truth = turbulence(channels=2)
    late = scored(truth, forecasts(truth)).isel(lead=slice(5, None)).mean("lead")
    assert float(late["spread"]) == pytest.approx(0.3, rel=0.05)
    assert float(late["rmse"]) == pytest.approx(0.3 * np.sqrt(1 + 1 / SEEDS), rel=0.05)


def test_seeds_without_chance_have_no_spread(truth):
    """As a raw rollout, whose seeds are the same trajectory: no warning, and the CRPS is the mean absolute error."""
    one = forecasts(truth)[0]
    scores = scored(truth, dict.fromkeys(range(SEEDS), one))
    error = (one["velocity"].values[:, 1:FRAMES] - truth[:MEMBERS, 1:].astype(np.float32)) / scores["truth_std"].item()
    np.testing.assert_allclose(scores["crps"], np.abs(error).mean(axis=(0, 2, 3)), rtol=1e-6)
    for name in ("spread", "spread_low", "spread_high", "spread_skill_ratio"):
        np.testing.assert_array_equal(scores[name], 0)
    assert float(scores["rank_histogram"][:, 1:-1].sum()) == 0


def test_an_initial_condition_counts_until_its_first_member_is_lost(truth):
    runs = forecasts(truth)
    whole = scored(truth, runs)
    runs[1]["velocity"].values[2, 8:] = np.nan
    part = scored(truth, runs)
    np.testing.assert_array_equal(part["initial_conditions"], [4] * 7 + [3] * 12)
    np.testing.assert_array_equal(part["crps"][:7], whole["crps"][:7])
    kept = {seed: run.isel(member=[0, 1, 3]) for seed, run in runs.items()}
    for run in kept.values():
        run.attrs |= {"initial_member": [0, 1, 3], "initial_frame": [0] * 3}
    others = scored(truth, kept)
    np.testing.assert_allclose(part["rmse"][7:], others["rmse"][7:], rtol=1e-12)
    np.testing.assert_allclose(part["rank_histogram"].sum("rank"), 1)


def test_nothing_is_known_where_all_ensembles_are_lost_and_no_interval_where_one_is_left(truth):
    runs = forecasts(truth)
    runs[0]["velocity"].values[1:, 3:] = np.nan
    runs[2]["velocity"].values[0, 10:] = np.nan
    scores = scored(truth, runs)
    np.testing.assert_array_equal(scores["initial_conditions"], [4] * 2 + [1] * 7 + [0] * 10)
    assert np.isfinite(scores["crps"][:9]).all()
    assert np.isnan(scores["crps"][9:]).all()
    assert np.isnan(scores["crps_low"][2:]).all()
    assert np.isnan(scores["rank_histogram"].sel(rank_lead=19)).all()


def test_scores_do_not_depend_on_how_much_is_read_at_once(truth):
    runs = [field_of(run) for run in forecasts(truth).values()]
    runs[1].values[0, 12:] = np.nan
    case = next(cases(field_of(dataset(truth)), runs, [(0, 0)], np.ones(1)))
    whole = follow(case, FRAMES - 1)
    assert np.isnan(whole).sum() == 3 * 8
    assert [case.block(values) for values in (1, 64, 200)] == [1, 1, 3]
    for values in (1, 200, 330):
        np.testing.assert_allclose(follow(case, FRAMES - 1, values), whole, rtol=1e-13)


def test_what_is_read_at_once_is_bounded(truth, monkeypatch):
    case = next(
        cases(field_of(dataset(truth)), [field_of(run) for run in forecasts(truth).values()], [(0, 0)], np.ones(1))
    )
    largest = []
    monkeypatch.setattr(
        "thermalize.metrics.cases.frame_scores",
        lambda y, x: largest.append(y.size + x.size) or np.zeros((3, len(y))),
    )
    follow(case, FRAMES - 1, 200)
    assert max(largest) <= 200


def test_a_forecast_is_held_against_the_truth_from_its_own_start(truth):
    runs = [field_of(rollout(truth[[3], 5:]))] * 2
    case = next(cases(field_of(dataset(truth)), runs, [(3, 5)], np.ones(1)))
    np.testing.assert_array_equal(follow(case, 10), 0)
    assert ranks(case, [1, 3], np.random.default_rng(0)).shape == (2, 3)


def test_climatological_states_stand_still_and_are_of_other_members(truth):
    field = field_of(dataset(np.broadcast_to(np.arange(6.0).reshape(-1, 1, 1, 1), truth.shape)))
    (case,) = climatology(field, 7, [(2, 0)], np.ones(1), np.random.default_rng(0))
    _, states = case.states(1, 4)
    assert states.shape == (7, 3, 1, 16)
    assert set(states[:5, 0, 0, 0]) == {0.0, 1.0, 3.0, 4.0, 5.0}
    np.testing.assert_array_equal(states[:, 0], states[:, 2])


def test_seeds_that_start_apart_and_foreign_grids_are_refused_in_one_sentence(truth):
    runs = forecasts(truth)
    apart = {**runs, 2: rollout(runs[2]["velocity"].values, [0, 3, 0, 0])}
    with pytest.raises(UserError, match="seeds 0 and 2 start from different states, so they make no ensemble"):
        scored(truth, apart)
    with pytest.raises(UserError, match="channels and grid"):
        scored(truth[..., :8], runs)


def test_intervals_are_the_same_whenever_they_are_drawn(truth, result):
    again = scored(truth, forecasts(truth))
    xr.testing.assert_identical(again, result)

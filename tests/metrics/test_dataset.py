"""The whole dataset: names, dimensions, CF attributes, round trip, determinism, and rollouts that end badly."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from diagnostics_data import (
    FRAMES,
    LABELS,
    LENGTH,
    MEMBERS,
    POINTS,
    STEPS,
    experiment,
    flow,
    ocean,
    oceanic,
    rolled,
    started,
    trajectory,
)

from thermalize.metrics.dataset import diagnose
from thermalize.metrics.registry import coordinates, variables
from thermalize.runtime.errors import UserError

VARIABLES, COORDINATES = variables(), coordinates()


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return flow(0, MEMBERS, FRAMES)


@pytest.fixture(scope="module")
def good(truth) -> np.ndarray:
    """Another flow of the same statistics that begins with the truth's first twenty frames."""
    u = flow(1, MEMBERS, STEPS + 1)
    u[:, :20] = truth[:, :20]
    return u


@pytest.fixture(scope="module")
def result(truth, good) -> xr.Dataset:
    return diagnose(trajectory(truth), rolled(good), experiment(), LABELS, started())


def test_names_and_dimensions(result):
    assert set(result.data_vars) == {name for name, each in VARIABLES.items() if not each.optional}
    assert set(result.coords) == set(COORDINATES)
    for name, each in (VARIABLES | COORDINATES).items():
        assert name not in result or result[name].dims == each.dims, name
    assert set(result.sizes) == {
        "member",
        "channel",
        "shell",
        "bin",
        "lag",
        "threshold",
        "window",
        "event",
        "lead",
        "energy_frame",
    }
    assert result.sizes["shell"] == (POINTS - 1) // 3
    assert result.sizes["bin"] == 30
    assert result.sizes["lag"] == 21
    np.testing.assert_allclose(result.wavenumber, 2 * np.pi / LENGTH * np.arange(1, 11))


def test_attributes_follow_cf(result):
    for name in result.variables:
        assert result[name].attrs["long_name"], name
        assert result[name].attrs.get("units") == (None if name == "channel" else "1"), name
    for name in ("horizon_cause", "horizon_observed", "energy_containing"):
        values, meanings = result[name].attrs["flag_values"], result[name].attrs["flag_meanings"].split()
        assert result[name].dtype == np.int8 == values.dtype
        np.testing.assert_array_equal(values, np.arange(len(meanings)))
    assert result.horizon_cause.attrs["flag_meanings"] == "stable nonfinite energy enstrophy spectrum frozen"
    for name in result.data_vars:
        for other in result[name].attrs.get("ancillary_variables", "").split():
            assert other in result, name
    assert result.attrs["Conventions"] == "CF-1.11"
    expected = {"experiment": "small", **LABELS, "steps": STEPS, "members": MEMBERS, "frame_interval": 0.5}
    assert {name: result.attrs[name] for name in expected} == expected
    assert json.loads(result.attrs["envelope"])["frozen_steps"] == 20


def test_every_variable_is_defined_in_the_docs():
    """Suffixed ones are defined with their stem, as `…_low`, `…_floor` and so on."""
    page = (Path(__file__).parents[2] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    defined = set(re.findall(r"`([a-z_]+)`", page))
    for name in set(VARIABLES) | set(COORDINATES) - {"member"}:
        stem = re.sub(r"(_floor)?(_low|_high)?$", "", name)
        assert name in defined or stem in defined, name


def test_units_of_a_dimensional_field(truth, good):
    data = [trajectory(truth), rolled(good)]
    for dataset in data:
        dataset.velocity.attrs["units"] = "m s-1"
        dataset.x.attrs["units"] = "m"
    found = diagnose(*data, experiment(), LABELS, started())
    assert found.spectrum_truth.attrs["units"] == found.attrs["energy_units"] == "m2 s-2"
    assert found.truth_std.attrs["units"] == "m s-1"
    assert found.attrs["enstrophy_units"] == "s-2"
    assert found.wavenumber.attrs["units"] == "rad (m)-1"
    assert found.wasserstein_field.attrs["units"] == "1"


def test_round_trip_is_bit_identical(result, tmp_path):
    path = tmp_path / "seed3.nc"
    result.to_netcdf(path, engine="netcdf4")
    with xr.open_dataset(path, engine="netcdf4") as found:
        found.load()
    assert set(found.variables) == set(result.variables)
    for name in result.variables:
        if name == "channel":  # NetCDF's strings have no width
            assert found[name].values.tolist() == result[name].values.tolist() == ["0"]
            continue
        assert found[name].dtype == result[name].dtype, name
        assert found[name].to_numpy().tobytes() == result[name].to_numpy().tobytes(), name
        for key, value in result[name].attrs.items():
            np.testing.assert_array_equal(found[name].attrs[key], value)
    assert found.attrs == result.attrs


def test_deterministic_and_the_floor_is_everyones(result, truth, good):
    again = diagnose(trajectory(truth), rolled(good), experiment(), LABELS, started())
    assert result.identical(again)
    other = diagnose(trajectory(truth), rolled(good), experiment(), {**LABELS, "stabilizer": "other"}, started())
    for name in result.data_vars:
        if "floor" in name or "truth" in name:
            np.testing.assert_array_equal(result[name], other[name])
    assert result.log_spectral_distance == other.log_spectral_distance
    assert result.log_spectral_distance_low != other.log_spectral_distance_low


def test_headline_can_be_recomputed_from_the_file(result):
    decades = np.log10(result.spectrum_rollout / result.spectrum_truth)
    for flag, name in ((1, "log_spectral_distance"), (0, "log_spectral_distance_tail")):
        shells = result.energy_containing == flag
        assert shells.any()
        assert result[name] == pytest.approx(float(np.sqrt((decades.where(shells) ** 2).mean())))
    width = float(result.field_bin[1] - result.field_bin[0])
    assert float(result.field_pdf_truth.sum()) * width == pytest.approx(1)


def test_a_good_rollout_is_as_good_as_truth(result):
    assert result.stable_fraction == result.truth_stable_fraction == 1
    assert (result.stable_horizon == STEPS).all()
    assert np.isnan(result.stable_horizon_median)
    for name in ("log_spectral_distance", "wasserstein_field", "wasserstein_increment"):
        value, low, high, floor, floor_low, floor_high = (
            float(result[name + end]) for end in ("", "_low", "_high", "_floor", "_floor_low", "_floor_high")
        )
        assert low < value < high
        assert 0 < floor_low < floor_high
        assert value < 1.5 * floor_high
        assert floor < 1.5 * floor_high
    assert result.integral_time_truth == pytest.approx(4.5, rel=0.4)
    assert result.integral_time_rollout == pytest.approx(4.5, rel=0.4)
    assert 0.5 < result.slow_fluctuations < 2  # of few windows
    assert 0.5 < result.slow_fluctuations_floor < 2
    np.testing.assert_array_equal(result.window_start, [1])
    assert result.network_evaluations_per_step == 1
    np.testing.assert_allclose(result.correlation[:20], 1.0)
    assert ((result.correlation_time >= 20) & (result.correlation_time < 40)).all()
    assert (result.correlation_low <= result.correlation + 1e-12).all()
    assert (result.correlation <= result.correlation_high + 1e-12).all()


def test_a_wrong_spectrum_is_outside_the_floor(truth, good):
    found = diagnose(trajectory(truth), rolled(np.float32(1.3) * good), experiment(), LABELS, started())
    assert found.log_spectral_distance == pytest.approx(2 * np.log10(1.3), rel=0.3)
    assert found.log_spectral_distance > found.log_spectral_distance_floor_high
    assert found.wasserstein_field > found.wasserstein_field_floor_high


def test_truth_as_its_own_rollout_is_at_distance_zero(truth):
    """Three rollouts that repeat the reference half, frame by frame."""
    same = np.concatenate([truth[0::2, :1], truth[0::2]], axis=1)
    attributes = started(3) | {"initial_member": [0, 2, 4]}
    found = diagnose(trajectory(truth), rolled(same), experiment(), LABELS, attributes)
    assert found.log_spectral_distance == pytest.approx(0, abs=1e-12)
    assert found.wasserstein_field == pytest.approx(0, abs=1e-12)
    assert found.stable_fraction == 1


def test_causes_are_found_in_whole_states(truth, good):
    u = good.copy()
    u[0, 60:] = np.nan
    u[1, 70:] *= 3.0
    u[2, 90:] = u[2, 90:91]
    u[3, 40:] += 0.8 * np.cos(np.pi * np.arange(POINTS))
    small = u[4] - u[4].mean(-1, keepdims=True)
    u[4, 50:] = (small * 0.05)[50:]
    found = diagnose(trajectory(truth), rolled(u), experiment(), LABELS, started())
    causes = [found.horizon_cause.attrs["flag_meanings"].split()[c] for c in found.horizon_cause.to_numpy()]
    assert causes == ["nonfinite", "energy", "frozen", "enstrophy", "energy", "stable"]
    np.testing.assert_array_equal(found.stable_horizon, [60, 70, 110, 40, 50, STEPS])
    np.testing.assert_array_equal(found.horizon_observed, [1, 1, 1, 1, 1, 0])
    assert found.stable_fraction == pytest.approx(1 / 6)
    assert found.stable_horizon_median == 60


def headline_is_finite(found: xr.Dataset) -> bool:
    names = [f"{stem}{end}" for stem in ("log_spectral_distance", "wasserstein_field") for end in ("", "_low", "_high")]
    return bool(
        all(np.isfinite(found[name]) for name in [*names, "wasserstein_increment", "log_spectral_distance_tail"])
    )


def blown_up(good, lost):
    """Members grow to 30 and to 10³⁰ standard deviations, then are lost; one after its first step."""
    u = good.copy()
    u[:, 30:60] *= np.linspace(1, 30, 30, dtype=np.float32)[:, None, None]
    u[1, 58:60] *= np.float32(1e29)
    u[:, lost:] = np.nan
    u[3, 2:] = np.nan
    return rolled(u), started(lost=[lost, lost, lost, 2, lost, lost])


def test_no_distance_depends_on_how_far_members_grow_before_they_are_lost(truth, good):
    """They are over the steps up to the horizon, beside truth of that length, with a higher floor."""
    early, late = (
        diagnose(trajectory(truth), run, experiment(), LABELS, start)
        for run, start in (
            blown_up(good, 45),
            blown_up(good, 60),
        )
    )
    distances = [name for name in late if name.startswith(("log_spectral", "wasserstein", "spectrum", "field_pdf"))]
    assert len(distances) > 20
    for name in distances:
        np.testing.assert_array_equal(early[name], late[name])
    whole = diagnose(trajectory(truth), rolled(good), experiment(), LABELS, started())
    assert late.log_spectral_distance_floor > whole.log_spectral_distance_floor


def test_blow_ups_give_finite_numbers(truth, good):
    found = diagnose(trajectory(truth), blown_up(good, 60)[0], experiment(), LABELS, blown_up(good, 60)[1])
    assert headline_is_finite(found)
    assert found.log_spectral_distance < 1
    assert (found.stable_horizon < 60).all()
    assert found.stable_horizon[3] == 2
    assert found.stable_fraction == 0
    assert np.isfinite([found.stable_horizon_median, found.stable_horizon_low, found.stable_horizon_high]).all()
    assert (found.correlation[61:] == 0).all()
    assert np.isfinite(found.autocorrelation_rollout).all()


def test_survivors_alone_fill_later_windows(truth):
    u = flow(2, MEMBERS, 3 * FRAMES + 1)
    u[:, 150:] = np.nan
    u[1, 150:] = flow(3, 1, 3 * FRAMES + 1)[0, 150:]
    found = diagnose(trajectory(truth), rolled(u), experiment(), LABELS, started())
    np.testing.assert_array_equal(found.window_start, [1, 121, 241])
    assert np.isfinite(found.log_spectral_distance_window).all()
    u[1, 150:] = np.nan
    found = diagnose(trajectory(truth), rolled(u), experiment(), LABELS, started())
    np.testing.assert_array_equal(np.isnan(found.log_spectral_distance_window), [False, False, True])
    np.testing.assert_array_equal(np.isnan(found.wasserstein_field_window), [False, False, True])


def test_all_lost_at_the_first_step(truth, good, tmp_path):
    """Nothing was predicted: horizons say so, and distances of nothing are missing, not zero."""
    u = good.copy()
    u[:, 1:] = np.nan
    found = diagnose(trajectory(truth), rolled(u), experiment(), LABELS, started(lost=[1] * MEMBERS))
    assert (found.stable_horizon == 1).all()
    assert found.stable_horizon_median == 1
    for name in ("log_spectral_distance", "wasserstein_field_high", "trigger_rate", "integral_time_rollout"):
        assert np.isnan(found[name]), name
    assert np.isfinite(found.log_spectral_distance_floor)
    np.testing.assert_array_equal(found.correlation_time, 1)
    found.to_netcdf(tmp_path / "lost.nc", engine="netcdf4")


@pytest.mark.parametrize("steps", [1, 7])
def test_short_rollouts(truth, good, steps):
    found = diagnose(trajectory(truth), rolled(good[:, : steps + 1]), experiment(), LABELS, started())
    assert headline_is_finite(found)
    assert found.stable_fraction == 1
    assert found.sizes["lead"] == steps + 1


def test_fewer_rollouts_than_truth_members(truth, good):
    attributes = started(2) | {"initial_member": [3, 0], "initial_frame": [100, 0]}
    u = good[[0, 1]]
    u[0, :20] = truth[3, 100:]
    found = diagnose(trajectory(truth), rolled(u), experiment(), LABELS, attributes)
    assert found.sizes["member"] == 2
    assert headline_is_finite(found)
    np.testing.assert_array_equal(found.correlation_time[:, 0], 19)
    assert (found.correlation_time[:, 1] < 10).all()


def test_health_is_averaged_over_living_steps(truth, good):
    found = diagnose(trajectory(truth), rolled(good, reverse=3), experiment(), LABELS, started())
    assert found.trigger_rate == found.level_evaluations_per_step == 1
    assert found.reverse_steps_per_step == 3
    assert found.network_evaluations_per_step == 5


def test_two_dimensions_and_two_channels():
    grid = (16, 16)
    reality, run = flow(4, 4, 40, 2, grid), flow(5, 4, 61, 2, grid)
    found = diagnose(trajectory(reality), rolled(run), experiment(max_lag=5, energy_fraction=0.9), LABELS, started(4))
    assert headline_is_finite(found)
    assert found.stable_fraction == 1
    assert found.log_spectral_distance < 0.2
    assert found.sizes["shell"] == 5


@pytest.fixture(scope="module")
def seas() -> tuple[np.ndarray, np.ndarray]:
    return ocean(flow(4, 4, 40, 2, (16, 16))), ocean(flow(5, 4, 61, 2, (16, 16)))


def diagnosed(truth: xr.Dataset, rollout: xr.Dataset) -> xr.Dataset:
    return diagnose(truth, rollout, experiment(max_lag=5, energy_fraction=0.9), LABELS, started(4))


def test_two_layers(seas, tmp_path):
    found = diagnosed(oceanic(seas[0]), oceanic(seas[1], True))
    assert set(found.data_vars) == set(VARIABLES)
    for name, each in (VARIABLES | COORDINATES).items():
        assert found[name].dims == each.dims, name
    assert found.channel.values.tolist() == ["upper", "lower"]
    assert {name: found.attrs[f"{name}_units"] for name in ("energy", "enstrophy")} == {
        "energy": "m2 s-2",
        "enstrophy": "s-2",
    }
    units = {"spectrum_truth": "s-2", "energy_spectrum_rollout_low": "m2 s-2", "truth_std": "s-1", "member": "1"}
    assert {name: found[name].attrs["units"] for name in units} == units
    assert found.energy_spectrum_truth.attrs["ancillary_variables"].split() == [
        "energy_spectrum_truth_low",
        "energy_spectrum_truth_high",
    ]
    assert (found.energy_spectrum_truth_low <= found.energy_spectrum_truth).all()
    assert (found.energy_spectrum_truth <= found.energy_spectrum_truth_high).all()
    np.testing.assert_allclose(found.truth_std, [1e-5, 1e-8], rtol=0.1)
    bands = json.loads(found.attrs["envelope"])["spectrum_bands"]
    assert {channel for channel, _, _ in bands} == {0, 1}
    assert found.stable_fraction == found.truth_stable_fraction == 1
    assert found.log_spectral_distance < 0.2
    found.to_netcdf(tmp_path / "layers.nc", engine="netcdf4")


def test_the_headline_is_the_root_mean_square_over_channels(seas):
    """The lower layer, with a millionth of the upper one's variance, off by a factor of two in amplitude."""
    wrong = seas[1] * np.array([1.0, 2.0], np.float32)[:, None, None]
    good, found = (diagnosed(oceanic(seas[0]), oceanic(u, True)) for u in (seas[1], wrong))
    shells = found.energy_containing == 1
    decades = np.log10(found.spectrum_rollout / found.spectrum_truth)
    assert found.log_spectral_distance == pytest.approx(float(np.sqrt((decades.where(shells) ** 2).mean())))
    tail = found.energy_containing == 0
    assert found.log_spectral_distance_tail == pytest.approx(float(np.sqrt((decades.where(tail) ** 2).mean())))
    assert (found.spectrum_rollout[0] == good.spectrum_rollout[0]).all()
    lower = float(shells[1].sum() / shells.sum())
    assert found.log_spectral_distance == pytest.approx(np.log10(4) * np.sqrt(lower), rel=0.1)
    assert found.log_spectral_distance > found.log_spectral_distance_floor_high > good.log_spectral_distance


@pytest.mark.parametrize(("change", "cause"), [("loud", "spectrum"), ("still", "frozen")])
def test_the_lower_layer_alone_can_leave_the_envelope(seas, change, cause):
    """Its share of energy and enstrophy is too small to show there."""
    u = seas[1].copy()
    u[2, 20:, 1] = 5 * u[2, 20:, 1] if change == "loud" else u[2, 20, 1]
    found = diagnosed(oceanic(seas[0]), oceanic(u, True))
    causes = found.horizon_cause.attrs["flag_meanings"].split()
    assert [causes[each] for each in found.horizon_cause.values] == ["stable", "stable", cause, "stable"]


def test_a_variable_without_a_known_energy_is_measured_by_its_variance(truth, good):
    u = good.copy()
    u[0, 60:] *= 10
    u[1, 70:] += 5
    data = [trajectory(300 + truth, "temperature"), rolled(300 + u, variable="temperature")]
    found = diagnose(*data, experiment(), LABELS, started())
    meanings = found.horizon_cause.attrs["flag_meanings"].split()
    assert meanings == ["stable", "nonfinite", "variance", "gradient", "spectrum", "frozen"]
    assert [meanings[each] for each in found.horizon_cause.values] == ["variance", "variance", *["stable"] * 4]
    np.testing.assert_array_equal(found.stable_horizon[:2], [60, 70])
    assert found.attrs["energy"] == "variance ½⟨u²⟩ of standardised channels"
    assert found.attrs["energy_units"] == "1"
    assert found.truth_mean == pytest.approx(300, abs=0.1)
    low, high = json.loads(found.attrs["envelope"])["energy"]
    assert low < 0.5 < high


def test_a_channel_that_never_varies_is_left_out(truth, good):
    def beside(u: np.ndarray) -> np.ndarray:
        return np.concatenate([u, np.full_like(u, 0.1)], axis=2)

    alone = diagnose(trajectory(truth), rolled(good), experiment(), LABELS, started())
    found = diagnose(trajectory(beside(truth)), rolled(beside(good)), experiment(), LABELS, started())
    assert found.log_spectral_distance == alone.log_spectral_distance
    assert found.stable_fraction == 1


def test_chunked_lazily_opened_trajectories_give_the_same(result, truth, good):
    lazy = trajectory(truth).chunk(member=2, time=33), rolled(good).chunk(member=1, time=17)
    assert diagnose(*lazy, experiment(), LABELS, started()).identical(result)


def test_inputs_that_do_not_fit(truth, good):
    with pytest.raises(UserError, match="two test members"):
        diagnose(trajectory(truth[:1]), rolled(good), experiment(), LABELS, started())
    with pytest.raises(UserError, match="grid"):
        diagnose(trajectory(truth), rolled(good[..., ::2]), experiment(), LABELS, started())

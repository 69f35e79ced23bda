"""Every figure draws whatever the experiment holds, says what it shows, and comes out the same byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import artifact_data
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from docutils.core import publish_parts
from figure_words import labels, overlaps, render, texts
from jinja2 import Environment
from matplotlib.figure import Figure

from thermalize.config import Experiment
from thermalize.figures import FIGURES, FigureInputs, draw, save
from thermalize.figures.health import binned, energy
from thermalize.figures.inputs import cause, envelope, hovmoller, lost_steps
from thermalize.figures.saving import config_digest, provenance
from thermalize.figures.spacetime import paint, scale, truth_hovmoller, windows
from thermalize.figures.spacetime import rollout_hovmoller as hovmoller_of
from thermalize.figures.starts import starts
from thermalize.figures.style import appearances, plain_log
from thermalize.figures.survival import all_inside
from thermalize.metrics.pooling import Estimate, average, horizons, interval_text, number, survival
from thermalize.runtime.errors import UserError
from thermalize.workflow.pictures import figures_of

NAMES = (
    "calibration", "distributions", "health", "overview", "samples", "spacetime", "spectra", "survival", "training",
)  # fmt: skip
PLANAR, SEVERAL, SWEPT = "fields", "ensemble", "ablation"
CAPTIONS = Path(__file__).parents[2] / "report"
SCENARIOS = {
    "one stabilizer": {"stabilizers": 2},
    "three stabilizers, two seeds, two emulators": {"stabilizers": 4, "seeds": 2, "emulators": 2},
    "no thermalizer": {"thermalizer": False},
    "two dimensions": {"stabilizers": 2, "system": "kolmogorov"},
    "two layers in SI units": {"stabilizers": 3, "seeds": 2, "system": "qg"},
}
ARRANGED = ("three stabilizers, two seeds, two emulators", "two layers in SI units")
DRAWN = [
    (name, scenario)
    for scenario, options in SCENARIOS.items()
    for name in (*NAMES, *((PLANAR,) if "system" in options else ()), *((SEVERAL,) if "seeds" in options else ()))
]


@pytest.fixture(scope="module")
def scenarios() -> dict[str, FigureInputs]:
    return {name: artifact_data.inputs(artifact_data.experiment(**options)) for name, options in SCENARIOS.items()}


@pytest.fixture(scope="module")
def config() -> Experiment:
    return artifact_data.experiment(stabilizers=2, seeds=2)


@pytest.fixture(scope="module")
def inputs(config) -> FigureInputs:
    return artifact_data.inputs(config)


@pytest.fixture(scope="module")
def layered() -> FigureInputs:
    return artifact_data.inputs(artifact_data.experiment(stabilizers=2, seeds=2, system="qg"))


@pytest.mark.parametrize(("name", "scenario"), DRAWN)
def test_every_figure_draws_with_labelled_axes(name, scenario, scenarios):
    figure = draw(name, scenarios[scenario])
    render(figure, arranged=scenario in ARRANGED)
    if scenario in ARRANGED:
        assert overlaps(figure) == []
    for axes in figure.axes:
        if not axes.axison:
            continue
        assert labels(axes, "y"), f"no y label in {name}"
        if axes.get_label() != "<colorbar>":
            assert labels(axes, "x"), f"no x label in {name}"
        for label in labels(axes, "x") | labels(axes, "y"):
            assert "[" in label or label == "training update", f"{label!r} has no unit"


@pytest.mark.parametrize("system", ["ks", "qg"])
@pytest.mark.parametrize("name", ["distributions", "fields", "health", "overview", "spacetime", "spectra", "survival"])
def test_figures_hold_when_every_raw_member_is_lost_at_once(name, system, inputs, layered):
    if (name, system) == (PLANAR, "ks"):
        return
    inputs = inputs if system == "ks" else layered
    lost = artifact_data.rollout(inputs.experiment, "raw", 0, lost=1)
    diagnostics = inputs.diagnostics["unet_0", "raw", 0].copy()
    measured = [name for name in diagnostics if "rollout" in name or name.startswith(("log_spectral", "wasserstein"))]
    for variable in measured:
        diagnostics[variable] = diagnostics[variable] * (1 if "floor" in variable else np.nan)
    diagnostics["stable_horizon"] = diagnostics["stable_horizon"] * 0 + 1
    key = ("unet_0", "raw", 0)
    gone = replace(
        inputs, rollouts={**inputs.rollouts, key: lost}, diagnostics={**inputs.diagnostics, key: diagnostics}
    )
    render(draw(name, gone))


def test_names_captions_and_unknown_figures(inputs):
    assert set(FIGURES) == {*NAMES, PLANAR, SEVERAL, SWEPT}
    with pytest.raises(UserError, match=r"no figure named 'sprectra'; the figures are ablation, calibration"):
        draw("sprectra", inputs)
    with pytest.raises(UserError, match=r"fields of two dimensions; this system has one, draw spacetime instead"):
        draw(PLANAR, inputs)
    with pytest.raises(UserError, match=r"the configuration has no sweeps; add one under rollouts\.sweeps"):
        draw(SWEPT, inputs)


@pytest.mark.parametrize("system", artifact_data.SYSTEMS)
def test_the_workflow_asks_for_the_figures_that_the_dimension_has(system):
    names = figures_of(artifact_data.experiment(system=system))
    assert set(names) == {*NAMES, *(() if system == "ks" else (PLANAR,))}
    without = figures_of(artifact_data.experiment(system=system, thermalizer=False))
    assert {*names, *without} - {*without} == {"calibration", "samples"}
    assert SEVERAL in figures_of(artifact_data.experiment(system=system, seeds=2))


@pytest.mark.parametrize("name", [*NAMES, PLANAR, SEVERAL, SWEPT, "movie", "summary", "workflow"])
def test_captions_are_valid_restructured_text(name):
    text = (CAPTIONS / f"{name}.rst").read_text()
    rendered = Environment().from_string(text).render(snakemake={"config": {"name": "an-experiment"}})
    parts = publish_parts(rendered, writer="html", settings_overrides={"report_level": 1, "halt_level": 1})
    assert len(parts["body"]) > 300


@pytest.mark.parametrize(("name", "scenario"), [("spacetime", "one stabilizer"), ("fields", "two dimensions")])
def test_saving_twice_gives_the_same_bytes(name, scenario, scenarios, tmp_path):
    inputs = scenarios[scenario]
    origin = provenance(inputs.experiment)
    save(draw(name, inputs), tmp_path / "a" / "figure", origin)
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 20, "axes.facecolor": "red"}):
        save(draw(name, inputs), tmp_path / "elsewhere" / "b" / "figure", origin)
    for suffix in ("pdf", "png"):
        first, second = (tmp_path / folder / f"figure.{suffix}" for folder in ("a", "elsewhere/b"))
        assert first.read_bytes() == second.read_bytes()
        assert config_digest(inputs.experiment).encode() in first.read_bytes()
    assert b"CreationDate" not in (tmp_path / "a" / "figure.pdf").read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        *("figure.pdf", "figure.pdf.sha256", "figure.png", "figure.png.sha256"),
    ]


def test_drawing_leaves_the_settings_of_matplotlib_alone(inputs):
    before = dict(mpl.rcParams)
    draw("survival", inputs)
    assert dict(mpl.rcParams) == before


def test_lost_states_are_hatched_and_named(inputs):
    figure = draw("spacetime", inputs)
    early, late = figure.axes[2:4]  # the second row is the raw rollout
    assert any(patch.get_hatch() for patch in late.patches)
    assert [text.get_text() for text in late.texts] == ["no states: lost at t = 30"]
    assert early.get_title("left") == "raw"
    assert early.get_title("right") == "left at t = 20 (energy)"
    assert not any(patch.get_hatch() for axes in (*figure.axes[:2], *figure.axes[4:6]) for patch in axes.patches)


def test_truth_beyond_its_end_is_named_as_another_time(inputs):
    early, late = windows(inputs)
    assert (early, late) == ((0, 60), (61, 121))
    assert truth_hovmoller(inputs, early).remark == ""
    shown = truth_hovmoller(inputs, late)
    assert shown.remark == "truth of t = 0 to 30"
    np.testing.assert_array_equal(shown.states, inputs.truth["velocity"].values[0, :, 0])


def test_early_window_reaches_the_departure_of_the_shown_member(inputs, config):
    key = ("unet_0", "raw", 0)
    diagnostics = inputs.diagnostics[key].assign(stable_horizon=("member", np.full(4, 300.0)))
    long = inputs.rollouts[key].isel(time=np.arange(2000) % 121)
    changed = replace(inputs, rollouts={key: long}, diagnostics={key: diagnostics})
    assert windows(changed) == ((0, 360), (1640, 2000))


def test_a_late_departure_has_a_window_of_its_own(inputs, config):
    key = ("unet_0", "raw", 0)
    diagnostics = inputs.diagnostics[key].assign(stable_horizon=("member", np.full(4, 900.0)))
    long = inputs.rollouts[key].isel(time=np.arange(2000) % 121)
    changed = replace(inputs, rollouts={key: long}, diagnostics={key: diagnostics})
    assert windows(changed) == ((0, 200), (850, 1050), (1800, 2000))
    _, raw = np.reshape(draw("spacetime", changed).axes[:6], (2, 3))
    assert [axes.get_title("right") for axes in raw] == ["", "left at t = 450 (energy)", ""]
    assert [len(axes.lines) for axes in raw] == [0, 1, 0]


def test_earlier_stretches_of_the_truth_stand_for_earlier_windows(inputs):
    assert truth_hovmoller(inputs, (61, 81), following=1).remark == "truth of t = 10 to 20"
    assert truth_hovmoller(inputs, (101, 121)).remark == "truth of t = 20 to 30"


def test_logarithmic_axes_name_what_there_is_room_for():
    axes = Figure().subplots()
    axes.set_xscale("log")
    plain_log(axes.xaxis)
    minor = axes.xaxis.get_minor_formatter()
    axes.set_xlim(200, 5000)
    assert [minor(value) for value in (300, 400, 2000)] == ["300", "", "2000"]
    axes.set_xlim(1, 1e6)
    assert minor(2000) == ""
    major = axes.xaxis.get_major_formatter()
    assert [major(value) for value in (0.01, 1000)] == ["0.01", "1000"]
    assert [major(value) for value in (1e-6, 3e-6)] == ["10⁻⁶", "3·10⁻⁶"]


def test_colours_share_one_symmetric_scale(inputs):
    diagrams = [truth_hovmoller(inputs, (0, 60))]
    limit = scale(diagrams)
    assert np.mean(np.abs(diagrams[0].states) < limit) == pytest.approx(0.995, abs=0.001)
    axes = Figure().subplots()
    image = paint(axes, hovmoller_of(inputs, ("unet_0", "raw", 0), (0, 60)), np.arange(16.0), 0.5, limit)
    assert image.get_clim() == (-limit, limit)
    assert axes.get_xlim() == (0, 30)
    assert image.get_extent()[3] == 16  # the periodic domain ends one spacing after its last point


def test_two_dimensional_states_are_cut_at_the_first_y():
    values = np.arange(2 * 3 * 1 * 4 * 5, dtype=np.float32).reshape(2, 3, 1, 4, 5)
    dims = ("member", "time", "channel", "y", "x")
    dataset = xr.Dataset({"vorticity": (dims, values)}, attrs={"variable": "vorticity"})
    found = hovmoller(dataset, 1, 1, 5)
    np.testing.assert_array_equal(found[:2], values[1, 1:, 0, 0])
    assert np.isnan(found[2:]).all()


def test_bins_keep_lost_members_and_skip_what_was_not_seen():
    values = np.array([[1.0, 2.0, np.inf, np.inf], [3.0, np.nan, np.nan, np.nan], [5.0, 6.0, 7.0, np.inf]])
    means = binned(values[:, :2], np.array([0, 1, 2]), np.mean)
    np.testing.assert_allclose(means, [[3.0, 4.0]])
    largest = binned(values, np.array([0, 2, 4]), np.max)
    np.testing.assert_array_equal(largest, [[6.0, np.inf]])
    empty = binned(np.array([[1.0, np.nan]]), np.array([0, 1, 2]), np.median)
    np.testing.assert_array_equal(empty, [[1.0, np.nan]])


def test_energy_of_lost_members_is_unbounded_not_left_out(config):
    rollout = artifact_data.rollout(config, "raw", 0)
    assert lost_steps(rollout) == [60] * 4
    values, steps = energy(rollout, artifact_data.diagnostics(config, ("unet_0", "raw", 0)))
    expected = 0.5 * (rollout["velocity"].values[2, 10].astype(float) ** 2).mean()
    assert values[2, 10] == pytest.approx(expected)
    np.testing.assert_array_equal(steps, np.arange(121))
    assert np.isinf(values[:, 60:]).all()
    assert np.isfinite(values[:, :60]).all()


def test_the_axis_of_the_energy_says_what_the_diagnostics_call_it(layered):
    label = draw("health", layered).axes[-1].get_ylabel()
    assert label == "total energy\n−½ Σ (Hᵢ/H)⟨ψᵢqᵢ⟩ [m²\xa0s⁻²]"


def test_health_has_panels_for_what_somebody_looked_at(scenarios):
    assert len(draw("health", scenarios["no thermalizer"]).axes) == 1
    assert len(draw("health", scenarios["one stabilizer"]).axes) == 3
    level, work, drift, _ = draw("health", scenarios["three stabilizers, two seeds, two emulators"]).axes[::2]
    assert len(level.get_lines()) == len(work.get_lines()) + 3  # of the starting levels
    curve, threshold = drift.get_lines()
    assert threshold.get_ydata()[0] == 1 < max(curve.get_ydata()) < 1.1


@pytest.mark.parametrize("busy", ["unet_0", "unet_1"])
def test_panels_of_a_row_share_an_axis_that_holds_the_curves_of_all(scenarios, busy):
    """One emulator needs eight times as much of everything, be it the first or the second one."""
    inputs = scenarios["three stabilizers, two seeds, two emulators"]
    rollouts = {
        key: rollout.assign({name: 8 * rollout[name] for name in ("level", "reverse_steps", "drift") if key[0] == busy})
        for key, rollout in inputs.rollouts.items()
    }
    axes = draw("health", replace(inputs, rollouts=rollouts)).axes
    for panel in axes[:6]:
        heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in panel.get_lines()])
        low, high = panel.get_ylim()
        assert low <= np.nanmin(heights)
        assert np.nanmax(heights) <= high
    assert max(np.nanmax(line.get_ydata()) for line in axes[2 + (busy == "unet_1")].get_lines()) > 8


def test_ensembles_show_where_members_are_missing_and_hold_when_all_are_lost(inputs):
    crps, errors = draw("ensemble", inputs).axes[:2]
    crosses = [line.get_xdata().tolist() for line in crps.lines if line.get_marker() == "x"]
    assert crosses == [[51], [51]]
    spread = [line.get_ydata() for line in errors.lines if line.get_marker() == "o"]
    assert [bool(np.isnan(values).all()) for values in spread] == [True, False]  # of raw seeds it is zero
    lost = inputs.ensembles["unet_0", "raw"] * np.nan
    for name in ("crps_climatology", "rmse_climatology"):
        lost[name] = inputs.ensembles["unet_0", "raw"][name]
    gone = draw("ensemble", replace(inputs, ensembles={("unet_0", "raw"): lost}))
    render(gone)
    assert texts(gone).count("every ensemble lost a member") == 3


def test_survival_pools_the_members_of_all_seeds(inputs):
    found = texts(draw("survival", inputs))
    assert "raw: 0 of 8 to the end" in found
    assert "thermalizer_5: 8 of 8 to the end" in found
    assert "held-out truth of 60 frames: 100 %" in found
    raw = inputs.of_seeds("unet_0", "raw")
    steps, observed = horizons(raw)
    assert sorted(steps) == [40, 41, 42, 43, 44, 45, 46, 47]
    assert observed.all()
    assert survival(raw, 0.95).median[0] == 43  # half of eight have left there
    assert all_inside(inputs, 8) == pytest.approx(0.025 ** (1 / 8))


def test_distances_are_means_over_the_seeds(inputs):
    found = average(inputs.of_seeds("unet_0", "thermalizer_5"), "log_spectral_distance")
    assert found == pytest.approx((0.021, 0.8 * 0.021, 1.3 * 0.021))
    assert np.isnan(average(inputs.of_seeds("unet_0", "raw"), "absent").value)
    assert "thermalizer_5: 0.021 [0.017, 0.027]" in texts(draw("spectra", inputs))


def test_starting_levels_come_from_the_config_or_the_calibration(inputs, config):
    assert starts(inputs, "small") == {"thermalizer_5": 5}
    settings = config.model_dump()
    settings["rollouts"]["stabilizers"]["thermalizer_5"]["start"] = "auto"
    automatic = replace(inputs, experiment=Experiment.model_validate(settings))
    calibrated = {"diffusion/small": artifact_data.card()}
    assert starts(replace(automatic, cards=calibrated), "small") == {"thermalizer_5": 3}  # 1 of 1000 states is above
    assert starts(replace(automatic, cards={}), "small") == {}
    render(draw("calibration", replace(automatic, cards=calibrated)))


def test_calibration_says_where_no_clean_state_is_above(inputs):
    assert "none of 1000 states above 4" in texts(draw("calibration", inputs))


def test_samples_say_what_they_are_and_stand_beside_the_floor(inputs, config):
    models = {
        "low": artifact_data.samples(config, "partial", "thermalized"),
        "all": artifact_data.samples(config, "unconditional", "thermalized"),
    }
    figure = draw("samples", replace(inputs, samples=models))
    render(figure, arranged=True)
    assert overlaps(figure) == []
    found = texts(figure)
    assert "partial samples (noise 0.32 σ): 0.020 [0.016, 0.026]" in found
    assert "unconditional samples: 0.020 [0.016, 0.026]" in found
    assert found.count("truth thermalized (noise 0.030 σ): 0.022 [0.018, 0.029]") == 2
    assert found.count("truth (halves): 0.031 [0.020, 0.040]") == 4
    assert found.count("512 states") == 2
    nothing = draw("samples", replace(inputs, samples={}))
    assert "no diffusion model in this experiment" in texts(nothing)


def test_looks_are_distinct_and_the_same_in_every_figure():
    config = artifact_data.experiment(stabilizers=8)
    looks = appearances(config)
    assert len(set(looks.values())) == len(looks) == 8
    assert appearances(artifact_data.experiment(stabilizers=2))["raw"] == looks["raw"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.012"),
        (0.0996, "0.10"),
        (99.6, "100"),
        (3.0, "3.0"),
        (0.0, "0"),
        (4.2e-7, "4.2e-07"),
        (2e6, "2.0e+06"),
    ],
)
def test_numbers_have_two_significant_digits(value, text):
    assert number(value) == text


def test_missing_numbers_and_intervals_are_not_invented():
    nan = float("nan")
    assert interval_text(Estimate(0.5, nan, nan)) == "0.50"
    assert interval_text(Estimate(nan, nan, nan)) == "–"


def test_thresholds_and_causes_are_read_from_the_diagnostics(inputs):
    diagnostics = inputs.diagnostics["unet_0", "raw", 0]
    assert envelope(diagnostics) == artifact_data.ENVELOPE
    assert cause(diagnostics, 0) == "energy"
    assert cause(inputs.diagnostics["unet_0", "thermalizer_5", 0], 0) == "stable"


def test_provenance_follows_the_science_and_nothing_else(config):
    settings = config.model_dump()
    settings["simulation"]["dask"]["workers"] = 7
    assert config_digest(Experiment.model_validate(settings)) == config_digest(config)
    settings["rollouts"]["steps"] = 121
    assert config_digest(Experiment.model_validate(settings)) != config_digest(config)
    assert set(provenance(config)) == {"experiment", "config", "version"}

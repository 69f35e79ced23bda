"""Pictures of two-dimensional systems: which times, which units, what is hatched, what the colours stand for."""

from __future__ import annotations

from dataclasses import replace

import artifact_data
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from thermalize.figures import FigureInputs, draw
from thermalize.figures.fields import plane_of
from thermalize.figures.inputs import snapshots, state
from thermalize.figures.panels import (
    channel_names,
    chosen_steps,
    described,
    rows_of,
    spread_out,
    symmetric_limit,
    truth_frames,
)
from thermalize.figures.units import length_scale, number_scale, time_scale, typeset, wavenumber_scale


@pytest.fixture(scope="module")
def layered() -> FigureInputs:
    return artifact_data.inputs(artifact_data.experiment(stabilizers=2, system="qg"))


@pytest.fixture(scope="module")
def flow() -> FigureInputs:
    return artifact_data.inputs(artifact_data.experiment(stabilizers=2, system="kolmogorov"))


@pytest.fixture(scope="module")
def figure(layered) -> Figure:
    return draw("fields", layered)


def panels(figure: Figure) -> np.ndarray:
    """The panels without the colour bars: one row per channel and trajectory."""
    found = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return np.array(found).reshape(6, 5)


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("1", "1"),
        ("s-1", "s⁻¹"),
        ("(s-1)2", "s⁻²"),
        ("m2 s-2", "m² s⁻²"),
        ("(m s-1)2", "m² s⁻²"),
        ("rad (m)-1", "rad m⁻¹"),
        ("length units", "length units"),
    ],
)
def test_exponents_become_superscripts(units, text):
    assert typeset(units) == text


def test_units_suit_what_is_shown():
    assert time_scale("s", 3 * 86400) == (1 / 86400, "days")
    assert time_scale("s", 30 * 3600) == (1 / 3600, "hours")
    assert time_scale("s", 100) == (1, "s")
    assert time_scale("time units", 1e6) == (1, "time units")
    assert length_scale("m", 1e6) == (1e-3, "km")
    assert length_scale("m", 100) == (1, "m")
    assert wavenumber_scale("rad m-1", length_scale("m", 1e6)) == (1000, "rad km⁻¹")
    assert wavenumber_scale("rad m-1", length_scale("m", 100)) == (1, "rad m⁻¹")
    assert wavenumber_scale("1", length_scale("length units", 6)) == (1, "rad per length unit")


def test_small_and_large_numbers_have_a_power_of_ten():
    factor, units = number_scale("s-1", 2.3e-5)
    assert factor == pytest.approx(1e5)
    assert units == "10⁻⁵ s⁻¹"
    assert number_scale("1", 4e5).units == "10⁵"
    assert number_scale("s-1", 12.0) == (1, "s⁻¹")
    assert number_scale("1", float("nan")) == (1, "1")


def test_times_are_said_in_units_that_suit(layered, flow):
    assert layered.moment(7) == "t = 3.5 days"
    assert layered.moment(0, 120) == "t = 0 to 60 days"
    assert flow.moment(7) == "t = 3.5"
    assert flow.moment(1999) == "t = 1000"


def test_steps_are_ends_and_departure_and_the_rest_is_spread_out(layered):
    assert chosen_steps(layered, 5) == [0, 20, 40, 50, 120]  # leaves at 40, has states until 60
    stable = layered.only("unet_0", ["thermalizer_5"])
    assert chosen_steps(stable, 5) == [0, 3, 11, 36, 120]
    assert spread_out([0, 2], 9) == [0, 1, 2]


def test_beyond_its_end_the_truth_is_shown_at_other_times_in_order(layered):
    assert truth_frames(layered, [0, 20, 40, 50, 120]) == [0, 20, 40, 50, 59]
    assert truth_frames(layered, [0, 30, 70, 120]) == [0, 30, 44, 59]
    steps = [0, 20, 120]
    truth = rows_of(layered, steps, truth_frames(layered, steps))[0]
    assert truth.remarks == ("", "", "truth of t = 29.5 days")
    np.testing.assert_array_equal(truth.states[2], layered.truth["potential_vorticity"].values[0, 59])


def test_columns_are_times_and_rows_are_trajectories_of_every_layer(figure):
    axes = panels(figure)
    assert [panel.get_title() for panel in axes[0]] == [f"t = {t} days" for t in (0, 10, 20, 25, 60)]
    names = [line[0].texts[-1].get_text() for line in axes]
    assert names[:2] == ["upper layer\ntruth", "upper layer\nraw"]
    assert names[5] == "lower layer\nthermalizer_5"
    assert axes[1, -1].get_title("right") == "left at t = 20 days (energy); lost at t = 30 days"
    assert axes[0, 0].get_ylabel() == "y [km]"
    assert axes[-1, 0].get_xlabel() == "x [km]"


def test_lost_panels_are_hatched_and_those_outside_the_envelope_dashed(figure):
    axes = panels(figure)
    hatched = np.array([[any(patch.get_hatch() for patch in panel.patches) for panel in line] for line in axes])
    np.testing.assert_array_equal(np.argwhere(hatched), [[1, 4], [4, 4]])
    assert "no states:\nlost at\nt = 30 days" in [text.get_text() for text in axes[1, 4].texts]
    dashed = np.array([[panel.spines["left"].get_linestyle() not in {"-", "solid"} for panel in line] for line in axes])
    np.testing.assert_array_equal(np.argwhere(dashed), [[row, column] for row in (1, 4) for column in (2, 3, 4)])


def test_every_layer_has_one_symmetric_scale_that_the_truth_sets(figure, layered):
    axes = panels(figure)
    steps = chosen_steps(layered, 5)
    truth = rows_of(layered, steps, truth_frames(layered, steps))[0].states
    for channel, block in enumerate(np.split(axes, 2)):
        ((low, high),) = {panel.images[0].get_clim() for panel in block.ravel()}
        assert high == pytest.approx(np.quantile(np.abs(truth[:, channel]), 0.995))
        assert low == -high
    bars = [axes.get_ylabel() for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert [" ".join(bar.split()) for bar in bars] == [
        "quasi-geostrophic potential vorticity, upper layer [10⁻⁵ s⁻¹]",
        "quasi-geostrophic potential vorticity, lower layer [10⁻⁶ s⁻¹]",
    ]


def test_numbers_at_the_colour_bar_are_those_of_its_units(figure):
    bar = next(axes for axes in figure.axes if axes.get_label() == "<colorbar>")
    format_ = bar.yaxis.get_major_formatter()
    assert [format_(value) for value in (-1e-5, 0.0, 1.5e-5)] == ["−1", "0", "1.5"]


def test_the_plane_is_periodic_and_upright(layered, flow):
    assert plane_of(state(layered.truth)).extent == pytest.approx((0, 1000, 0, 1000))
    assert plane_of(state(flow.truth)).extent == pytest.approx((0, 2 * np.pi, 0, 2 * np.pi))
    assert panels(draw("fields", layered))[0, 0].images[0].origin == "lower"


def test_colours_ignore_what_is_not_there():
    states = np.array([np.nan, -3.0, 1.0, np.inf])
    assert symmetric_limit(states) == pytest.approx(2.99)
    assert symmetric_limit(np.full(3, np.nan)) == 1


def test_channels_are_named_where_there_are_several(layered, flow):
    assert channel_names(state(layered.truth)) == ["upper layer", "lower layer"]
    assert channel_names(state(flow.truth)) == [""]
    assert described(state(flow.truth)) == "vorticity of Kolmogorov flow"


def test_snapshots_are_complete_or_missing():
    values = np.arange(2 * 3 * 1 * 2 * 2, dtype=np.float32).reshape(2, 3, 1, 2, 2)
    values[1, 2, 0, 1, 1] = np.inf
    dims = ("member", "time", "channel", "y", "x")
    dataset = xr.Dataset({"vorticity": (dims, values)}, attrs={"variable": "vorticity"})
    found = snapshots(dataset, 1, [1, 0, 2, 7])
    np.testing.assert_array_equal(found[:2], values[1, [1, 0]])
    assert np.isnan(found[2:]).all()


def test_strips_say_where_the_plane_is_cut(layered, flow):
    assert draw("spacetime", layered).axes[0].get_ylabel() == "x [km]\nat y = 0 km"
    assert draw("spacetime", flow).axes[0].get_ylabel() == "x [length units]\nat y = 0"
    early = draw("spacetime", layered).axes
    assert early[-2].get_xlabel() == "time t [days]"
    assert early[2].get_title("right") == "left at t = 20 days (energy)"
    assert early[0].get_xlim() == (0, 30)


def test_spectra_have_a_column_per_layer_in_units_of_the_axes(layered):
    figure = draw("spectra", layered)
    axes = np.array(figure.axes).reshape(3, 2)
    assert [panel.get_title("left") for panel in axes[0]] == [
        "emulator unet_0, upper layer",
        "emulator unet_0, lower layer",
    ]
    assert axes[0, 0].get_ylabel() == "kinetic energy per shell [m² s⁻²]"
    assert axes[1, 0].get_ylabel() == "variance per shell [s⁻²]"
    assert axes[-1, 1].get_xlabel() == "wavenumber k [rad km⁻¹]"
    k = axes[1, 0].lines[0].get_xdata()
    np.testing.assert_allclose(k, 2 * np.pi / 1000 * np.arange(1, 9))
    upper, lower = (panel.lines[0].get_ydata() for panel in axes[1])
    np.testing.assert_allclose(upper / lower, 100)


def test_a_layer_that_never_varies_leaves_its_panels_empty(layered):
    still = {}
    for key, dataset in layered.diagnostics.items():
        calm = dataset.copy(deep=True)
        for name in [name for name in calm if "spectrum" in name or name == "energy_containing"]:
            calm[name][1] = 0
        still[key] = calm
    axes = np.array(draw("spectra", replace(layered, diagnostics=still)).axes).reshape(3, 2)
    assert not np.isfinite(axes[2, 1].lines[0].get_ydata()).any()
    assert np.isfinite(axes[2, 0].lines[0].get_ydata()).all()


def test_survival_has_days_above(layered):
    figure = draw("survival", layered)
    assert figure.axes[0].child_axes[0].get_xlabel() == "time [days]"


def test_the_overview_shows_fields_of_the_first_layer(layered):
    figure = draw("overview", layered)
    images = [axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
    assert len(images) == 15
    np.testing.assert_array_equal(images[0].images[0].get_array(), layered.truth["potential_vorticity"].values[0, 0, 0])

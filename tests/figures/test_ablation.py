"""The figure and the table of the sweeps: a row of panels per sweep, a row of numbers per point, nothing left out."""

from __future__ import annotations

import artifact_data
import numpy as np
import pandas as pd
import pytest
from figure_words import labels, overlaps, render
from matplotlib.patches import Rectangle

from thermalize.config import Experiment
from thermalize.figures import FigureInputs, draw
from thermalize.figures.style import appearances
from thermalize.figures.tables import summarise, sweep_table, with_point_names
from thermalize.figures.tabletext import read_csv, write_csv, write_tex
from thermalize.stages.artifacts import print_table

SWEEPS = {
    "plane": {"of": "thermalizer_5", "start": (1, 5), "stop": ("clean", 0, 2)},
    "line": {"of": "thermalizer_5", "check_every": (1, 2, 4)},
}
REFUSED = "stop = 2 must lie below start = 1"


def swept(emulators: int = 1, seeds: int = 1) -> Experiment:
    plain = artifact_data.experiment(stabilizers=2, emulators=emulators, seeds=seeds).model_dump()
    plain["rollouts"]["sweeps"] = SWEEPS
    return Experiment.model_validate(plain)


def inputs_of(config: Experiment) -> FigureInputs:
    """What the workflow gives the figure: no rollouts."""
    keys = [(e, s, seed) for e in config.emulators for s in config.stabilizers for seed in config.seeds]
    diagnostics = {key: artifact_data.diagnostics(config, key) for key in keys}
    return FigureInputs(config, truth=None, diagnostics=diagnostics, costs=artifact_data.costs(config))


@pytest.fixture(scope="module")
def inputs() -> FigureInputs:
    return inputs_of(swept())


@pytest.fixture(scope="module")
def table(inputs) -> pd.DataFrame:
    return sweep_table(inputs.diagnostics, inputs.costs, inputs.experiment)


def test_the_table_has_a_row_per_point_with_the_numbers_of_its_stabilizer(inputs, table):
    assert table.groupby("sweep", sort=False).size().to_dict() == {"plane": 6, "line": 3}
    assert table[["key_1", "value_1", "key_2", "value_2"]].iloc[1].tolist() == ["start", "1", "stop", "0"]
    assert table[["key_1", "value_1", "key_2", "value_2"]].iloc[8].tolist() == ["check_every", "4", "", ""]
    summary = summarise(inputs.diagnostics, inputs.costs, inputs.experiment).set_index("stabilizer")
    for row in table[table["left_out"] == ""].itertuples():
        expected = summary.loc[row.stabilizer]
        for name in (
            "stable_fraction",
            "log_spectral_distance_floor",
            "wasserstein_field",
            "trigger_rate",
            "cost_ratio",
        ):
            assert getattr(row, name) == expected[name], (row.stabilizer, name)
    same = table[table["stabilizer"] == "thermalizer_5"]
    assert same["sweep"].tolist() == ["plane", "line"]


def test_a_refused_point_has_a_row_with_the_reason_and_no_numbers(table):
    (refused,) = table[table["left_out"] != ""].to_dict("records")
    assert (refused["value_1"], refused["value_2"], refused["left_out"]) == ("1", "2", REFUSED)
    assert np.isnan(refused["cost_ratio"])
    assert np.isnan(refused["members"])


def test_the_tables_files(table, tmp_path):
    write_csv(table, tmp_path / "ablation.csv")
    again = pd.read_csv(tmp_path / "ablation.csv")
    assert list(again.columns) == list(table.columns)
    assert len(again) == len(table)
    write_tex(with_point_names(table), tmp_path / "ablation.tex", "tab:ablation")
    text = (tmp_path / "ablation.tex").read_text()
    assert r"\label{tab:ablation}" in text
    assert r"plane: start 1, stop clean" in text
    assert r"line: check\_every 4 &" in text
    assert "stop 2, " not in text


def test_the_table_is_read_back_as_it_was_written_and_printed_by_points(table, tmp_path, capsys):
    path = tmp_path / "ablation.csv"
    write_csv(table, path)
    pd.testing.assert_frame_equal(read_csv(path), table, check_dtype=False, rtol=1e-5)
    print_table(path)
    printed = capsys.readouterr().out
    assert "check_every 4" in " ".join(printed.split())
    assert printed.count("×") == len(table) - 1


def hatched(axes) -> int:
    return sum(isinstance(patch, Rectangle) and bool(patch.get_hatch()) for patch in axes.patches)


@pytest.mark.parametrize(("emulators", "seeds"), [(1, 1), (2, 2)])
def test_the_figure_has_three_panels_per_sweep_and_emulator(emulators, seeds):
    inputs = inputs_of(swept(emulators, seeds))
    figure = draw("ablation", inputs)
    assert len(figure.axes) == 3 * 2 * emulators
    render(figure, arranged=True)
    assert overlaps(figure) == []
    for axes in figure.axes:
        assert all("[" in label for label in labels(axes, "x") | labels(axes, "y"))
        assert labels(axes, "x")
        assert labels(axes, "y")


def test_cells_say_what_the_table_says_and_refused_ones_are_hatched(inputs, table):
    plane = draw("ablation", inputs).axes[:3]
    assert [hatched(axes) for axes in plane] == [1, 1, 1]
    said = [[text.get_text() for text in axes.texts] for axes in plane]
    assert [len(words) for words in said] == [10, 10, 10]
    assert said[0][:2] == ["4/4", "≥ 120"]
    first = table.iloc[0]
    ratio = first["log_spectral_distance"] / first["log_spectral_distance_floor"]
    assert float(said[1][0]) == pytest.approx(ratio, rel=0.05)
    assert said[2][:2] == ["2.5", "[2.3, 2.7]"]
    frames = [[patch for patch in axes.patches if not patch.get_fill()] for axes in plane]
    assert [len(found) for found in frames] == [1, 1, 1]
    assert frames[0][0].get_xy() == pytest.approx((-0.46, 0.54))  # start 5, stop clean


def test_values_that_are_missing_leave_a_dash(inputs):
    lost = {key: each.copy() for key, each in inputs.diagnostics.items()}
    for key, each in lost.items():
        if key[1] != "raw":
            for end in ("", "_low", "_high"):
                each[f"log_spectral_distance{end}"] = np.nan
    figure = draw("ablation", FigureInputs(inputs.experiment, None, diagnostics=lost, costs=inputs.costs))
    render(figure)
    assert {text.get_text() for text in figure.axes[1].texts} == {"–", ""}
    assert {text.get_text() for text in figure.axes[4].texts} == {"–"}


def test_looks_are_those_of_named_stabilizers_only():
    assert list(appearances(swept())) == ["raw", "thermalizer_5"]

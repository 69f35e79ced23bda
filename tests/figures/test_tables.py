"""The summary table: pooled numbers against hand computation, and its three forms of text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from thermalize.config import Experiment
from thermalize.figures.tables import summarise
from thermalize.figures.tabletext import format_terminal, read_csv, write_csv, write_tex
from thermalize.metrics.pooling import distinct
from thermalize.runtime.errors import UserError

TRAINING = {"updates": 1}
COSTS = {"net_a": {"raw": {"seconds_per_step": 0.004, "ratio": 1.0, "ratio_low": 1.0, "ratio_high": 1.0}}}


@pytest.fixture
def experiment() -> Experiment:
    split = {"members": 8, "frames": 10}
    return Experiment.model_validate(
        {
            "name": "t",
            "seeds": [0, 1],
            "simulation": {
                "system": {"kind": "ks", "length": 22.0, "points": 32},
                "dt": 0.1,
                "frame_interval": 0.5,
                "splits": {"train": split, "valid": split, "test": split},
            },
            "emulators": {"net_a": {"training": TRAINING}},
            "diffusion": {"d": {"training": TRAINING}},
            "rollouts": {
                "members": 2,
                "steps": 100,
                "stabilizers": {"raw": {"kind": "none"}, "thermalized": {"kind": "thermalizer"}},
            },
        }
    )


def dataset(horizon, observed, distance) -> xr.Dataset:
    scalars = {
        f"{name}{end}": distance * factor
        for name in ("log_spectral_distance", "wasserstein_field", "wasserstein_increment")
        for end, factor in (("", 1), ("_low", 0.5), ("_high", 2), ("_floor", 0.1))
    }
    return xr.Dataset(
        {
            **scalars,
            "log_spectral_distance_tail": 1.0,
            "log_spectral_distance_tail_floor": 0.1,
            "trigger_rate": 0.25,
            "reverse_steps_per_step": 0.5,
            "network_evaluations_per_step": 2.5,
            "stable_horizon": ("member", np.array(horizon)),
            "energy": (("member", "energy_frame"), np.outer(distance * np.array(horizon), np.ones(3))),
            "horizon_observed": ("member", np.array(observed)),
            "correlation_threshold": ("threshold", np.array([0.8, 0.9])),
            "correlation_time": (("threshold", "member"), np.array([horizon, [1, 2]], dtype=float)),
        }
    )


@pytest.fixture
def table(experiment) -> pd.DataFrame:
    diagnostics = {
        ("net_a", "raw", 0): dataset([10, 20], [1, 1], 0.4),
        ("net_a", "raw", 1): dataset([30, 40], [1, 1], 0.6),
        ("net_a", "thermalized", 0): dataset([100, 100], [0, 0], 0.01),
        ("net_a", "thermalized", 1): dataset([50, 100], [1, 0], 0.03),
    }
    return summarise(diagnostics, COSTS, experiment)


def test_seeds_are_pooled(table):
    raw, thermalized = (table.iloc[row] for row in (0, 1))
    assert (raw.system, raw.members, raw.seeds, raw.steps) == ("ks length=22 points=32", 4, 2, 100)
    assert raw.stable_horizon_median == 20  # half of the four members have left by step 20
    assert not raw.stable_horizon_is_lower_bound
    assert raw.stable_fraction == 0
    assert raw.log_spectral_distance == pytest.approx(0.5)
    assert raw.log_spectral_distance_low == pytest.approx(0.25)
    assert raw.wasserstein_field_floor == pytest.approx(0.05)
    assert raw.correlation_time_0p8 == pytest.approx(25)
    assert raw.correlation_time_0p9 == pytest.approx(1.5)
    assert thermalized.stable_fraction == 0.75
    assert thermalized.stable_horizon_median == 100
    assert thermalized.stable_horizon_is_lower_bound
    assert (raw.cost_ratio, raw.seconds_per_step) == (1.0, 0.004)
    assert np.isnan(thermalized.cost_ratio)


def test_seeds_of_a_rollout_without_chance_count_once(experiment, table):
    """Four members of which two are the others again would halve the interval."""
    once, left = dataset([10, 20], [1, 1], 0.4), dataset([50, 100], [1, 0], 0.03)
    diagnostics = {("net_a", "raw", seed): once for seed in (0, 1)}
    diagnostics |= {("net_a", "thermalized", 0): once, ("net_a", "thermalized", 1): left}
    found = summarise(diagnostics, COSTS, experiment)
    assert found["members"].tolist() == [2, 4]
    assert found["seeds"].tolist() == [1, 2]
    assert found.iloc[0].stable_fraction_high == pytest.approx(1 - 0.025 ** (1 / 2))
    assert table["members"].tolist() == [4, 4]


def test_a_seed_of_which_nothing_is_left_is_like_another():
    lost = dataset([1, 1], [1, 1], 0.4)
    lost["energy"][:] = np.nan
    assert distinct([lost, lost.copy(deep=True), dataset([1, 1], [1, 1], 0.4)]) == [0, 2]


def test_intervals_of_shares_and_horizons(table):
    raw, thermalized = (table.iloc[row] for row in (0, 1))
    assert (raw.stable_fraction_low, raw.stable_fraction_high) == (0, pytest.approx(1 - 0.025 ** (1 / 4)))
    assert raw.stable_horizon_low == 10  # the log-log interval of S = 3/4 at step 10 begins below one half
    assert np.isnan(raw.stable_horizon_high)  # four that left leave 1 − 0.025^¼ = 0.60 > ½ open
    assert thermalized.stable_horizon_low == 50  # that of S = 3/4 at step 50
    assert np.isnan(thermalized.stable_horizon_high)


def test_csv_round_trip(table, tmp_path):
    write_csv(table, tmp_path / "summary.csv")
    again = pd.read_csv(tmp_path / "summary.csv")
    pd.testing.assert_frame_equal(again, table, check_dtype=False, rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"# Words\n\nmore, of, them\n1,2\n", b"\x89PNG\r\n"])
def test_a_file_that_is_no_table_is_named(content, tmp_path):
    (tmp_path / "notes.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"notes\.csv is not a table of an experiment"):
        read_csv(tmp_path / "notes.csv")


def test_latex_is_escaped_and_balanced(table, tmp_path):
    write_tex(table, tmp_path / "summary.tex")
    text = (tmp_path / "summary.tex").read_text()
    assert text.count("{") == text.count("}")
    assert r"net\_a" in text
    assert r"$\geq$ 100" in text
    assert r"20 [10, --]" in text
    assert r"0.50 [0.25, 1.0] (0.050)" in text
    assert r"95 \% intervals" in text
    assert "×" not in text
    assert r"\toprule" in text
    assert text.isascii()


def test_terminal_table_fits_and_bounds_are_marked(table):
    text = format_terminal(table)
    assert max(map(len, text.splitlines())) <= 100
    assert "≥ 100" in text
    assert "0/4" in text
    assert "3/4" in text


def test_terminal_table_never_cuts_a_number_and_folds_long_names(table):
    table.loc[0, "emulator"] = "emulator-with-a-long-name"
    table.loc[1, "stabilizer"] = "published-thermalizer-of-wide-net"
    table.loc[0, ["stable_horizon_median", "stable_horizon_low", "stable_horizon_high"]] = 123456, 111111, 222222
    text = format_terminal(table)
    assert max(map(len, text.splitlines())) <= 100
    assert "123456 [111111, 222222]" in text
    assert "[steps]" in text
    assert "…" not in text
    assert "emulator-with-a-long-name" in "".join(line.split(" ")[0] for line in text.splitlines())


def test_names_that_latex_would_run_are_escaped(table, tmp_path):
    table.loc[0, "stabilizer"] = "50%_of-net"
    write_tex(table, tmp_path / "summary.tex")
    assert r"50\%\_of-net" in (tmp_path / "summary.tex").read_text()


def test_writing_twice_gives_the_same_bytes(table, tmp_path):
    for write, name in ((write_csv, "summary.csv"), (write_tex, "summary.tex")):
        write(table, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        write(table, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first

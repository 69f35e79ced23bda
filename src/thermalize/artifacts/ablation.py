"""The table of the sweeps: one row per emulator and point, with the numbers that the summary has for its stabilizer.

A point that equals a stabilizer of another name has that one's numbers. A combination that the configuration refuses
has a row with the reason and no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xarray as xr

from thermalize.artifacts.inputs import Key
from thermalize.artifacts.tables import summarise
from thermalize.config import Experiment, Point
from thermalize.errors import UserError

__all__ = ["sweep_table", "with_point_names"]

INTERVAL = ("", "_low", "_high")
COLUMNS = (
    *("seeds", "members", "steps", "confidence"),
    *(f"stable_fraction{end}" for end in INTERVAL),
    *("stable_horizon_median", "stable_horizon_low", "stable_horizon_high", "stable_horizon_is_lower_bound"),
    *(f"{name}{end}" for name in ("log_spectral_distance", "wasserstein_field") for end in (*INTERVAL, "_floor")),
    *("trigger_rate", "reverse_steps_per_step", "network_evaluations_per_step", "seconds_per_step"),
    *(f"cost_ratio{end}" for end in INTERVAL),
)


def sweep_table(
    diagnostics: Mapping[Key, xr.Dataset],
    costs: Mapping[str, Mapping[str, Mapping[str, float]]],
    experiment: Experiment,
) -> pd.DataFrame:
    """One row per emulator and point of each sweep, from what `summarise` reads."""
    if not experiment.sweeps:
        raise UserError("the configuration has no sweeps; add one under rollouts.sweeps")
    summary = summarise(diagnostics, costs, experiment).to_dict("records")
    measured = {(row["emulator"], row["stabilizer"]): {name: row[name] for name in COLUMNS} for row in summary}
    rows = []
    for emulator in experiment.emulators:
        for sweep, points in experiment.sweeps.items():
            for point in points:
                numbers = {} if point.left_out else measured[emulator, point.stabilizer]
                rows.append({"emulator": emulator, "sweep": sweep, **_named(point), **numbers})
    return pd.DataFrame(rows)


def with_point_names(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with numbers, their stabilizers called after sweep and values, as a summary table for print."""
    kept = table[table["left_out"] == ""].astype({"members": int, "steps": int})
    names = [
        f"{row.sweep}: " + ", ".join(f"{key} {value}" for key, value in _pairs(row) if key)
        for row in kept.itertuples(index=False)
    ]
    return kept.assign(stabilizer=names)


def _pairs(row: Any) -> tuple[tuple[str, str], ...]:
    return (row.key_1, row.value_1), (row.key_2, row.value_2)


def _named(point: Point) -> dict[str, str]:
    """Key and value of the first and of the second swept key; empty where there is no second one."""
    pairs = [*point.texts.items(), ("", "")][:2]
    columns = {name: text for place, pair in enumerate(pairs, 1) for name, text in _columns(place, pair)}
    return columns | {"stabilizer": point.stabilizer, "left_out": point.left_out}


def _columns(place: int, pair: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (f"key_{place}", pair[0]), (f"value_{place}", pair[1])

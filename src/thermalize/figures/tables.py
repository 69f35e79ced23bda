"""The summary table and the table of the sweeps.

The summary table: one row per emulator and stabilizer, with the columns that the families of metrics declare and the
cost. The members of all seeds are pooled, those of a rollout without chance, which is the same for every seed, once.
Distances, and the ends of their intervals, are means over the seeds.

The table of the sweeps: one row per emulator and point, with the numbers that the summary has for its stabilizer.

A point that equals a stabilizer of another name has that one's numbers. A combination that the configuration refuses
has a row with the reason and no numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from thermalize.config import Experiment, Point
from thermalize.figures.inputs import Key
from thermalize.metrics.pooling import distinct
from thermalize.metrics.registry import Seeds, columns_of
from thermalize.runtime.errors import UserError

__all__ = ["summarise", "sweep_table", "with_point_names"]

NAMES = ("system", "emulator", "stabilizer")
COST = {
    "seconds_per_step": "seconds_per_step",
    "processor_seconds_per_step": "processor_seconds_per_step",
    "cost_ratio": "ratio",
    "cost_ratio_low": "ratio_low",
    "cost_ratio_high": "ratio_high",
}


def summarise(
    diagnostics: Mapping[Key, xr.Dataset],
    costs: Mapping[str, Mapping[str, Mapping[str, float]]],
    experiment: Experiment,
) -> pd.DataFrame:
    """The table from the diagnostics of every (emulator, stabilizer, seed) and the costs by emulator and stabilizer."""
    rows = []
    for emulator in experiment.emulators:
        for stabilizer in experiment.stabilizers:
            every = [diagnostics[emulator, stabilizer, seed] for seed in experiment.seeds]
            seeds = [every[place] for place in distinct(every)]
            names = dict(zip(NAMES, (experiment.simulation.label, emulator, stabilizer), strict=True))
            rows.append({**names, **_measured(seeds, experiment), **_cost(costs[emulator].get(stabilizer, {}))})
    return pd.DataFrame(rows)


def _measured(seeds: Sequence[xr.Dataset], experiment: Experiment) -> dict[str, Any]:
    pooled = Seeds(seeds, experiment.rollouts.steps, experiment.diagnostics.confidence)
    return {"seeds": len(seeds), **columns_of(pooled)}


def _cost(cost: Mapping[str, float]) -> dict[str, float]:
    return {column: float(cost.get(name, np.nan)) for column, name in COST.items()}


def sweep_table(
    diagnostics: Mapping[Key, xr.Dataset],
    costs: Mapping[str, Mapping[str, Mapping[str, float]]],
    experiment: Experiment,
) -> pd.DataFrame:
    """One row per emulator and point of each sweep, from what `summarise` reads."""
    if not experiment.sweeps:
        raise UserError("the configuration has no sweeps; add one under rollouts.sweeps")
    summary: list[dict[Hashable, Any]] = summarise(diagnostics, costs, experiment).to_dict("records")
    measured = {(row["emulator"], row["stabilizer"]): _numbers(row) for row in summary}
    rows = []
    for emulator in experiment.emulators:
        for sweep, points in experiment.sweeps.items():
            for point in points:
                numbers = {} if point.left_out else measured[emulator, point.stabilizer]
                rows.append({"emulator": emulator, "sweep": sweep, **_named(point), **numbers})
    return pd.DataFrame(rows)


def _numbers(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if name not in NAMES}


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

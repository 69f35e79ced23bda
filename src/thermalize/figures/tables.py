"""The summary table and the table of the sweeps.

The summary table: one row per emulator and stabilizer, the members of all seeds pooled.

Horizons are Kaplan–Meier medians over all members of all seeds. Where fewer than half of the members have left, the
median is only known to be at least the length of the rollout, and `stable_horizon_is_lower_bound` says so; likewise the
lower end of its interval. An upper end that the rollout is too short to reach is missing. The interval of the stable
fraction is Clopper–Pearson's. Distances, and the ends of their intervals, are means over the seeds.

The table of the sweeps: one row per emulator and point, with the numbers that the summary has for its stabilizer.

A point that equals a stabilizer of another name has that one's numbers. A combination that the configuration refuses
has a row with the reason and no numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest

from thermalize.config import Experiment, Point
from thermalize.figures.inputs import Key
from thermalize.figures.pooling import average, horizons, mean
from thermalize.metrics.dataset import MEAN
from thermalize.metrics.statistics import kaplan_meier
from thermalize.runtime.errors import UserError

__all__ = ["summarise", "sweep_table", "with_point_names"]

WITH_INTERVAL = ("log_spectral_distance", "wasserstein_field", "wasserstein_increment")
PLAIN = (
    "truth_stable_fraction",
    "log_spectral_distance_tail",
    "log_spectral_distance_tail_floor",
    "trigger_rate",
    "reverse_steps_per_step",
    "level_evaluations_per_step",
    "network_evaluations_per_step",
    "rescaled_bands_per_step",
    "integral_time_truth",
    "integral_time_rollout",
    "slow_fluctuations",
    "slow_fluctuations_floor",
)
COST = {
    "seconds_per_step": "seconds_per_step",
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
            seeds = [diagnostics[emulator, stabilizer, seed] for seed in experiment.seeds]
            names = {"system": experiment.simulation.label, "emulator": emulator, "stabilizer": stabilizer}
            rows.append({**names, **_measured(seeds, experiment), **_cost(costs[emulator].get(stabilizer, {}))})
    return pd.DataFrame(rows)


def _measured(seeds: Sequence[xr.Dataset], experiment: Experiment) -> dict[str, Any]:
    row: dict[str, Any] = {"seeds": len(seeds), **_horizon(seeds, experiment)}
    for name in WITH_INTERVAL:
        row[name], row[f"{name}_low"], row[f"{name}_high"] = average(seeds, name)
        row[f"{name}_floor"] = mean(seeds, f"{name}_floor")
    row |= {name: mean(seeds, name) for name in (*PLAIN, *_recorded(seeds))}
    return row | _correlation_times(seeds)


def _recorded(seeds: Sequence[xr.Dataset]) -> list[str]:
    """Means of what emulator and stabilizer recorded besides."""
    return [str(name) for name in seeds[0].data_vars if str(name).startswith(MEAN)]


def _horizon(seeds: Sequence[xr.Dataset], experiment: Experiment) -> dict[str, Any]:
    step, left = horizons(seeds)
    length = experiment.rollouts.steps
    confidence = experiment.diagnostics.confidence
    median, low, high = kaplan_meier(step, left, confidence).median
    share = binomtest(int((~left).sum()), left.size).proportion_ci(confidence, method="exact")
    return {
        "members": len(step),
        "steps": length,
        "confidence": confidence,
        "stable_fraction": float(np.mean(~left)),
        "stable_fraction_low": float(share.low),
        "stable_fraction_high": float(share.high),
        "stable_horizon_median": length if np.isnan(median) else median,
        "stable_horizon_low": length if np.isnan(low) else low,
        "stable_horizon_high": high,
        "stable_horizon_is_lower_bound": bool(np.isnan(median)),
    }


def _correlation_times(seeds: Sequence[xr.Dataset]) -> dict[str, float]:
    """Median over members of the first step with a correlation below each threshold."""
    thresholds = seeds[0]["correlation_threshold"].values
    times = np.concatenate([dataset["correlation_time"].values for dataset in seeds], axis=1)
    return {
        f"correlation_time_{f'{threshold:g}'.replace('.', 'p')}": float(np.median(values))
        for threshold, values in zip(thresholds, times, strict=True)
    }


def _cost(cost: Mapping[str, float]) -> dict[str, float]:
    return {column: float(cost.get(name, np.nan)) for column, name in COST.items()}


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

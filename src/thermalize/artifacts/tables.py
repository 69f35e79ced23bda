"""The summary table: one row per emulator and stabilizer, the members of all seeds pooled.

Horizons are Kaplan–Meier medians over all members of all seeds. Where fewer than half of the members have left, the
median is only known to be at least the length of the rollout, and `stable_horizon_is_lower_bound` says so; likewise the
lower end of its interval. An upper end that the rollout is too short to reach is missing. The interval of the stable
fraction is Clopper–Pearson's. Distances, and the ends of their intervals, are means over the seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binomtest

from thermalize.artifacts.inputs import Key
from thermalize.artifacts.pooling import average, horizons, mean
from thermalize.config import Experiment
from thermalize.diagnostics.survival import kaplan_meier

__all__ = ["summarise"]

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
    row |= {name: mean(seeds, name) for name in PLAIN}
    return row | _correlation_times(seeds)


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

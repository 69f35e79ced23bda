"""Several seeds as one result, and numbers as readers want them.

Members of all seeds form one sample for the survival curve; seeds of a rollout without chance are one. A distance is
averaged over the seeds, and so are the ends of its interval: the standard deviation of a mean is at most the mean of
the standard deviations, however the seeds depend on each other through the truth they share, so the interval errs on
the wide side. A seed without a value leaves none for the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor, isfinite, log10
from typing import NamedTuple

import numpy as np
import xarray as xr

from thermalize.metrics.registry import Numbers, Seeds
from thermalize.metrics.statistics import Survival, kaplan_meier

__all__ = [
    "MISSING",
    "Estimate",
    "average",
    "distinct",
    "horizons",
    "interval_text",
    "mean",
    "means",
    "number",
    "scalar",
    "survival",
    "with_floors",
]

MISSING = "–"


class Estimate(NamedTuple):
    """A value with the ends of its interval; NaN where it has none."""

    value: float
    low: float
    high: float


def scalar(dataset: xr.Dataset, name: str) -> float:
    """A scalar of a diagnostics file; NaN where the file does not have it."""
    return float(dataset[name]) if name in dataset else float("nan")


def mean(datasets: Sequence[xr.Dataset], name: str) -> float:
    """Mean of a scalar over seeds."""
    return float(np.mean([scalar(dataset, name) for dataset in datasets]))


def average(datasets: Sequence[xr.Dataset], name: str) -> Estimate:
    """Mean over seeds of `name`, `name_low` and `name_high`."""
    return Estimate(*(mean(datasets, f"{name}{end}") for end in ("", "_low", "_high")))


def means(*names: str) -> Callable[[Seeds], Numbers]:
    """Columns with the means of some scalars."""
    return lambda seeds: {name: mean(seeds.datasets, name) for name in names}


def with_floors(*names: str) -> Callable[[Seeds], Numbers]:
    """Columns with the means of some distances, the ends of their intervals, and their floors."""
    ends = ("", "_low", "_high", "_floor")
    return means(*(f"{name}{end}" for name in names for end in ends))


def distinct(datasets: Sequence[xr.Dataset]) -> list[int]:
    """Positions of the rollouts that differ from all before them: one without chance is the same for every seed."""
    kept: list[int] = []
    for place, dataset in enumerate(datasets):
        energies = dataset["energy"].to_numpy()
        if not any(np.array_equal(energies, datasets[other]["energy"].to_numpy(), equal_nan=True) for other in kept):
            kept.append(place)
    return kept


def horizons(datasets: Sequence[xr.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Stable horizons [emulator steps] of all seeds' members, and whether each was seen to leave (else censored)."""
    steps = np.concatenate([dataset["stable_horizon"].to_numpy() for dataset in datasets])
    observed = np.concatenate([dataset["horizon_observed"].to_numpy() for dataset in datasets])
    return steps.astype(np.float64), observed.astype(bool)


def survival(datasets: Sequence[xr.Dataset], confidence: float) -> Survival:
    """Kaplan–Meier curve over the members of all seeds."""
    return kaplan_meier(*horizons(datasets), confidence)


def number(value: float, digits: int = 2) -> str:
    """`value` with that many significant digits, without an exponent between 1e−4 and 1e6; a dash for NaN."""
    if not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    if not 1e-4 <= abs(rounded) < 1e6:
        return f"{rounded:.{digits - 1}e}"
    return f"{rounded:.{max(0, digits - 1 - floor(log10(abs(rounded))))}f}"


def interval_text(estimate: Estimate, digits: int = 2) -> str:
    """``0.016 [0.012, 0.021]``; without an interval the value alone."""
    value, low, high = (number(part, digits) for part in estimate)
    return value if MISSING in (value, low, high) else f"{value} [{low}, {high}]"

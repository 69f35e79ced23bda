"""Several seeds as one result.

Members of all seeds form one sample for the survival curve. A distance is averaged over the seeds, and so are the ends
of its interval: the standard deviation of a mean is at most the mean of the standard deviations, however the seeds
depend on each other through the truth they share, so the interval errs on the wide side. A seed without a value leaves
none for the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from thermalize.metrics.statistics import Survival, kaplan_meier

__all__ = ["Estimate", "average", "horizons", "mean", "scalar", "survival"]


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


def horizons(datasets: Sequence[xr.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Stable horizons [emulator steps] of all seeds' members, and whether each was seen to leave (else censored)."""
    steps = np.concatenate([dataset["stable_horizon"].to_numpy() for dataset in datasets])
    observed = np.concatenate([dataset["horizon_observed"].to_numpy() for dataset in datasets])
    return steps.astype(np.float64), observed.astype(bool)


def survival(datasets: Sequence[xr.Dataset], confidence: float) -> Survival:
    """Kaplan–Meier curve over the members of all seeds."""
    return kaplan_meier(*horizons(datasets), confidence)

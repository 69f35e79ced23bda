"""Several seeds as one result.

Members of all seeds form one sample for the survival curve. A distance is averaged over the seeds, and so are the ends of its
interval: the standard deviation of a mean is at most the mean of the standard deviations, however the seeds depend on each
other through the truth they share, so the interval errs on the wide side. A seed without a value leaves none for the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

__all__ = ["Estimate", "average", "horizons", "mean", "scalar"]


class Estimate(NamedTuple):
    """A value with the ends of its interval; NaN where it has none."""

    value: float
    low: float
    high: float


def scalar(dataset: xr.Dataset, name: str) -> float:
    """A scalar of a diagnostics file; NaN where the file does not have it."""
    return float(dataset[name]) if name in dataset else float("nan")


def mean(datasets: Sequence[xr.Dataset], name: str) -> float:
    return float(np.mean([scalar(dataset, name) for dataset in datasets]))


def average(datasets: Sequence[xr.Dataset], name: str) -> Estimate:
    """Mean over seeds of `name`, `name_low` and `name_high`."""
    return Estimate(*(mean(datasets, f"{name}{end}") for end in ("", "_low", "_high")))


def horizons(datasets: Sequence[xr.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Stable horizons [emulator steps] of the members of all seeds, and whether each was seen to leave (else censored)."""
    steps = np.concatenate([dataset["stable_horizon"].values for dataset in datasets])
    observed = np.concatenate([dataset["horizon_observed"].values for dataset in datasets])
    return steps.astype(np.float64), observed.astype(bool)


class SurvivalCurve(NamedTuple):
    step: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray

    
def survival_curve(datasets, confidence):
    from scipy.stats import norm
    t, o = horizons(datasets)
    ev = np.unique(t[o])
    n = np.array([(t >= e).sum() for e in ev]); d = np.array([((t == e) & o).sum() for e in ev])
    S = np.cumprod(1 - d / n)
    z = norm.ppf(.5 + confidence / 2)
    with np.errstate(all="ignore"):
        v = np.cumsum(d / (n * (n - d))) / np.log(S)**2
        low, high = S ** np.exp(z * np.sqrt(v)), S ** np.exp(-z * np.sqrt(v))
    bad = ~np.isfinite(low)
    low[bad] = S[bad]; high[bad] = S[bad]
    return SurvivalCurve(np.r_[0, ev], np.r_[1, S], np.r_[1, low], np.r_[1, high])

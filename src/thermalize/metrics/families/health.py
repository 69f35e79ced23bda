"""What emulator and stabilizer did, averaged over the steps in which a member was alive.

Network evaluations per emulator step = those of the emulator + looks at the noise level (each one evaluation of the
encoder, counted as one and also given apart) + those of every series that counts evaluations, as the reverse steps of
denoising do. Control of band energies evaluates no network.

Of every series that has no rate of its own, the mean over living members and steps is a variable `mean_…` and a column.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.metrics.declared import Variable
from thermalize.metrics.pooling import MISSING, mean
from thermalize.metrics.registry import Case, Cell, Numbers, Seeds, family
from thermalize.rollouts.series import frames_of, recorded, values_of

__all__ = ["RATES", "health", "rates"]

RATED = ("level", "reverse_steps", "rescaled")
"""Series with rates of their own."""
SERIES = "series"
"""Attribute of the mean of a series, its name."""

RATES = {
    "trigger_rate": Variable((), "share of emulator steps in which a living member was thermalized"),
    "reverse_steps_per_step": Variable((), "reverse steps of denoising per emulator step"),
    "level_evaluations_per_step": Variable(
        (), "evaluations of the noise level, each one pass of the encoder, per emulator step"
    ),
    "network_evaluations_per_step": Variable(
        (), "network evaluations of emulator, noise level and denoising per emulator step"
    ),
    "rescaled_bands_per_step": Variable((), "bands of wavenumbers whose energy was set right, per emulator step"),
}


def _evaluations(row: Any, _: bool) -> str:
    value = row.network_evaluations_per_step
    return f"{value:.2f}" if isfinite(value) else MISSING


def _columns(seeds: Seeds) -> Numbers:
    first = seeds.datasets[0]
    names = [*RATES, *(str(name) for name in first.data_vars if SERIES in first[name].attrs)]
    return {name: mean(seeds.datasets, name) for name in names}


@family(RATES, columns=_columns, cells=(Cell("evalu-\nations", _evaluations, 30),), place=30)
def health(case: Case) -> Numbers:
    """Rates per emulator step over all members."""
    return {**rates(case.series, case.rollout.last_finite), **_means(case.series, case.rollout.last_finite)}


def rates(rollout: xr.Dataset, last_finite: NDArray[np.integer[Any]]) -> dict[str, float]:
    """Rates per emulator step; NaN where no member survived its first step.

    Args:
        rollout: with the series [member, frame] that were recorded, of which `level` is -1 where nobody looked,
            `reverse_steps` is above 0 where the member was thermalized, and `rescaled` counts bands whose energy was
            set right; frame 0 is the initial condition.
        last_finite: last finite frame (member,); a member is alive at the steps up to it.
    """
    step = np.arange(1, frames_of(rollout))
    alive = step[None] <= np.asarray(last_finite)[:, None]

    def series(name: str, otherwise: float = 0.0) -> NDArray[np.float64]:
        return values_of(rollout, name, otherwise)[:, 1:][alive].astype(np.float64)

    looks, reverse = _mean(series("level", -1.0) >= 0), series("reverse_steps")
    counted = {name: np.nan_to_num(series(name)) for name, each in recorded(rollout).items() if each.evaluations}
    evaluations = float(rollout.attrs.get("emulator_evaluations", 1)) + looks
    return {
        "trigger_rate": _mean(reverse > 0),
        "reverse_steps_per_step": _mean(reverse),
        "level_evaluations_per_step": looks,
        "network_evaluations_per_step": sum(map(_mean, counted.values()), evaluations),
        "rescaled_bands_per_step": _mean(series("rescaled")),
    }


def _means(rollout: xr.Dataset, last_finite: NDArray[np.integer[Any]]) -> dict[str, xr.Variable]:
    alive = np.arange(frames_of(rollout))[None] <= np.asarray(last_finite)[:, None]
    alive[:, 0] = False
    found = {}
    for name, series in recorded(rollout).items():
        if name not in RATED:
            values = values_of(rollout, name, np.nan)[alive].astype(np.float64)
            text = f"{series.long_name}: mean over living members and steps at which it was recorded"
            attributes = {"long_name": text, "units": series.units, SERIES: name}
            found[f"mean_{name}"] = xr.Variable((), _mean(values[np.isfinite(values)]), attributes)
    return found


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")

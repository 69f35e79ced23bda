"""What the stabilizer did, averaged over the steps in which a member was alive.

Network evaluations per emulator step = 1 (the emulator) + evaluations of the noise level (each one pass of the
encoder, counted as one and also given apart) + reverse steps of denoising. Control of band energies evaluates none.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.metrics.declared import Variable
from thermalize.metrics.pooling import MISSING, means
from thermalize.metrics.registry import Case, Cell, Numbers, family

__all__ = ["RATES", "health", "rates"]

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


@family(RATES, columns=means(*RATES), cells=(Cell("evalu-\nations", _evaluations, 30),), place=30)
def health(case: Case) -> Numbers:
    """Rates per emulator step over all members."""
    return dict(rates(case.series, case.rollout.last_finite))


def rates(rollout: xr.Dataset, last_finite: NDArray[np.integer[Any]]) -> dict[str, float]:
    """Rates per emulator step; NaN where no member survived its first step.

    Args:
        rollout: with the series (member, time) `level` (−1 where it was not evaluated), `reverse_steps` (above 0 means
            that the member was thermalized) and `rescaled` (bands whose energy was set right); frame 0 is the initial
            condition.
        last_finite: last finite frame (member,); a member is alive at the steps up to it.
    """
    step = np.arange(1, rollout.sizes["time"])
    alive = step[None] <= np.asarray(last_finite)[:, None]
    level, reverse, rescaled = (
        rollout[name].to_numpy()[:, 1:][alive].astype(np.float64) for name in ("level", "reverse_steps", "rescaled")
    )
    levels, reverses = _mean(level >= 0), _mean(reverse)
    return {
        "trigger_rate": _mean(reverse > 0),
        "reverse_steps_per_step": reverses,
        "level_evaluations_per_step": levels,
        "network_evaluations_per_step": 1.0 + levels + reverses,
        "rescaled_bands_per_step": _mean(rescaled),
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")

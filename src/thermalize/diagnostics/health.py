"""What the stabilizer did, averaged over the steps in which a member was alive.

Network evaluations per emulator step = 1 (the emulator) + looks at the noise level (each one evaluation of the encoder,
counted as one and also given apart) + reverse steps of denoising. Control of band energies evaluates no network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["health"]


def health(rollout: xr.Dataset, last_finite: NDArray[np.integer[Any]]) -> dict[str, float]:
    """Rates per emulator step; NaN where no member survived its first step.

    Args:
        rollout: with the series (member, time) `level` (-1 where nobody looked), `reverse_steps` (above 0 means that
            the member was thermalized) and `rescaled` (bands whose energy was set right); frame 0 is the initial
            condition.
        last_finite: last finite frame (member,); a member is alive at the steps up to it.
    """
    step = np.arange(1, rollout.sizes["time"])
    alive = step[None] <= np.asarray(last_finite)[:, None]
    level, reverse, rescaled = (
        rollout[name].to_numpy()[:, 1:][alive].astype(np.float64) for name in ("level", "reverse_steps", "rescaled")
    )
    looks, reverses = _mean(level >= 0), _mean(reverse)
    return {
        "trigger_rate": _mean(reverse > 0),
        "reverse_steps_per_step": reverses,
        "level_evaluations_per_step": looks,
        "network_evaluations_per_step": 1.0 + looks + reverses,
        "rescaled_bands_per_step": _mean(rescaled),
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else float("nan")

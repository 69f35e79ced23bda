"""What the stabilizer did, averaged over the steps in which a member was alive.

Network evaluations per emulator step = 1 (the emulator) + looks at the noise level (each one evaluation of the encoder,
counted as one and also given apart) + reverse steps of denoising.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["health"]


def health(level: NDArray[Any], reverse_steps: NDArray[Any], last_finite: NDArray[np.integer[Any]]) -> dict[str, float]:
    """Rates per emulator step from series (member, time), whose frame 0 is the initial condition.

    `level` is −1 where nobody looked; `reverse_steps` above 0 means that the member was thermalized. A member is alive
    at the steps up to its last finite frame (member,). NaN where no member survived its first step.
    """
    step = np.arange(1, level.shape[1])
    alive = step[None] <= np.asarray(last_finite)[:, None]
    looked, reverse = level[:, 1:][alive] >= 0, reverse_steps[:, 1:][alive].astype(np.float64)
    if reverse.size == 0:
        names = ("trigger_rate", "reverse_steps_per_step", "level_evaluations_per_step", "network_evaluations_per_step")
        return dict.fromkeys(names, float("nan"))
    looks, reverses = float(looked.mean()), float(reverse.mean())
    return {
        "trigger_rate": float((reverse > 0).mean()),
        "reverse_steps_per_step": reverses,
        "level_evaluations_per_step": looks,
        "network_evaluations_per_step": 1.0 + looks + reverses,
    }

"""Kaplan–Meier survival S(t) = Π_{t_i ≤ t} (1 − d_i / n_i) of members inside the reference envelope.

d_i of the n_i members still followed leave at step t_i; members that are inside at the end of the rollout are censored
there. The interval is the log-log one (Kalbfleisch and Prentice), and Clopper–Pearson's where that is undefined, which
is where nobody or everybody has left. The median is the first step at which S ≤ ½, its interval where the interval of S
reaches ½ (Brookmeyer and Crowley): NaN when that is never. Censored times are never averaged.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import CensoredData, ecdf

__all__ = ["Survival", "kaplan_meier"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Survival:
    """A survival curve, right-continuous steps: `survival[i]` holds from `step[i]` on."""

    step: Array
    survival: Array
    low: Array
    high: Array

    @property
    def median(self) -> tuple[float, float, float]:
        """Median and its interval [steps]; NaN where the curve does not come down to one half."""
        return self._first(self.survival), self._first(self.low), self._first(self.high)

    def _first(self, curve: Array) -> float:
        below = curve <= 0.5
        return float(self.step[int(np.argmax(below))]) if below.any() else float("nan")


def kaplan_meier(step: NDArray[Any], observed: NDArray[Any], confidence: float) -> Survival:
    """Survival of members that leave at `step` (member,), or are censored there where `observed` (member,) is 0.

    The curve begins with S = 1 at step 0 and has one further point per distinct step.
    """
    left = np.asarray(observed, dtype=bool)
    times = np.asarray(step, dtype=np.float64)
    curve = ecdf(CensoredData(uncensored=times[left], right=times[~left])).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The confidence interval is undefined", category=RuntimeWarning)
        bounds = curve.confidence_interval(confidence, method="log-log")
    survival = np.asarray(curve.probabilities, dtype=np.float64)
    exact = ((1 - confidence) / 2) ** (1 / max(1, _followed(left)))
    low = _where_defined(bounds.low.probabilities, survival, at_one=exact, at_zero=0.0)
    high = _where_defined(bounds.high.probabilities, survival, at_one=1.0, at_zero=1 - exact)
    return Survival(
        step=np.concatenate([[0.0], curve.quantiles]),
        survival=np.concatenate([[1.0], survival]),
        low=np.concatenate([[1.0], low]),
        high=np.concatenate([[1.0], high]),
    )


def _followed(left: NDArray[np.bool_]) -> int:
    """Members that the exact bound counts: those that left, or all of them where nobody did."""
    return int(left.sum()) if left.any() else int(left.size)


def _where_defined(bound: Array, survival: Array, at_one: float, at_zero: float) -> Array:
    return np.where(survival >= 1, at_one, np.where(survival <= 0, at_zero, bound))

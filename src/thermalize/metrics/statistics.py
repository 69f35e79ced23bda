"""Intervals from block resampling, and survival of members.

Intervals from block resampling over members and time blocks.

A sample is a list of blocks, runs of consecutive frames of one member that are longer than the memory of the flow.
Every statistic here is a function of sums over blocks, so one draw is a vector of weights: how often each block counts.

- `bootstrap_weights`: members are drawn with replacement and, inside each drawn member, its blocks with replacement.
  Drawing at both levels errs on the wide side where members are statistically alike.
- `resplit_weights`: random deals of the truth into disjoint halves, whose distance to each other is the noise floor.
- `recentred`: distances never fall below zero, and resampled ones carry the sampling noise twice, so their percentiles
  lie above the estimate. Their *relative* spread is right; it is put around the estimate.

Reference: Davison and Hinkley, Bootstrap Methods and their Application (1997), sections 3.8 and 8.2.

Kaplan–Meier survival S(t) = Π_{t_i ≤ t} (1 − d_i / n_i) of members inside the reference envelope.

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

__all__ = [
    "Survival",
    "bootstrap_weights",
    "interval",
    "kaplan_meier",
    "mean_weights",
    "recentred",
    "resampled_means",
    "resplit_weights",
]

Array = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]

MEMBERS_TO_DEAL = 8
"""Members from which the halves of the truth are dealt whole; fewer can be halved in too few ways: blocks are dealt."""


def mean_weights(units: int, resamples: int, rng: np.random.Generator) -> Array:
    """Weights of independent units drawn with replacement, (draw, unit)."""
    return rng.multinomial(units, np.full(units, 1 / units), resamples).astype(np.float64)


def resampled_means(values: Array, weights: Array) -> Array:
    """Means over the known among the weighted units: (unit, …) with weights (draw, unit) gives (draw, …)."""
    known = np.isfinite(values)
    sums, counts = (np.tensordot(weights, part, axes=1) for part in (np.where(known, values, 0.0), known.astype(float)))
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def bootstrap_weights(member: Integers, resamples: int, rng: np.random.Generator) -> Array:
    """Weights of the blocks that belong to `member` (block,), drawn over members and over blocks: (draw, block)."""
    weights = np.zeros((resamples, member.size))
    members = np.unique(member)
    if members.size == 0:
        return weights
    times = rng.multinomial(members.size, np.full(members.size, 1 / members.size), resamples)
    for i, label in enumerate(members):
        own = np.flatnonzero(member == label)
        weights[:, own] = rng.multinomial(times[:, i] * own.size, np.full(own.size, 1 / own.size))
    return weights


def resplit_weights(
    member: Integers, rank: Integers, sizes: tuple[int, int], blocks: int, resamples: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Weights 0 or 1 of a reference and a floor sample dealt at random from one pool of blocks, each (draw, block).

    `sizes` members go to the reference and to the floor sample, which takes only the last `blocks` blocks of each of
    its members; `rank` counts a member's blocks from its last one, 0.
    """
    labels, index = np.unique(member, return_inverse=True)
    if labels.size >= MEMBERS_TO_DEAL:
        place = rng.permuted(np.tile(np.arange(labels.size), (resamples, 1)), axis=1)[:, index]
        cut = sizes
        late = rank < blocks
    else:
        place = rng.permuted(np.tile(np.arange(member.size), (resamples, 1)), axis=1)
        per_member = int(rank.max()) + 1
        cut = (sizes[0] * per_member, sizes[1] * min(blocks, per_member))
        late = np.ones(member.size, dtype=np.bool_)
    reference = place < cut[0]
    floor = (place >= cut[0]) & (place < cut[0] + cut[1]) & late
    return reference.astype(np.float64), floor.astype(np.float64)


def interval(draws: Array, confidence: float) -> tuple[Array, Array]:
    """Central percentile interval along the first axis: (draw, …) → (…,), (…,); NaN where no draw is finite."""
    tail = 50 * (1 - confidence)
    low = np.full(draws.shape[1:], np.nan)
    high = low.copy()
    known = np.isfinite(draws).any(axis=0)
    if known.any():
        low[known], high[known] = np.nanpercentile(draws[:, known], [tail, 100 - tail], axis=0)
    return low, high


def recentred(value: float, draws: Array, confidence: float) -> tuple[float, float]:
    """Percentile interval of value · draws / median(draws), for a distance whose draws are (draw,)."""
    finite = draws[np.isfinite(draws)]
    if finite.size == 0 or not np.isfinite(value):
        return float("nan"), float("nan")
    middle = float(np.median(finite))
    if middle == 0:
        return value, value
    low, high = interval(value * finite / middle, confidence)
    return float(low), float(high)


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

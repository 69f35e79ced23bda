"""Scores of an ensemble forecast, from its members x₁ … x_M and the truth y at every point:

    fair CRPS          (1/M) Σ |x_m − y| − 1/(2 M (M−1)) Σ Σ |x_m − x_n|
    squared error      (x̄ − y)²,  x̄ = (1/M) Σ x_m
    variance           1/(M−1) Σ (x_m − x̄)²
    rank               how many members lie below y: 0 … M; among members equal to y it is drawn

The fair CRPS of an ensemble drawn from F has the expectation E|X − y| − ½ E|X − X′| of F itself whatever M is (Ferro,
Q. J. R. Meteorol. Soc. 140, 2014). Members and truth that are exchangeable have uniform ranks (Hamill, Mon. Weather
Rev. 129, 2001) and a mean squared error of (M+1)/M times the mean variance (Fortin et al., J. Hydrometeorol. 15, 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scoringrules import crps_ensemble

__all__ = ["SCORES", "frame_scores", "rank_shares", "reliability"]

Array = NDArray[np.float64]

SCORES = ("crps", "square", "variance")


def frame_scores(truth: Array, members: Array) -> Array:
    """The three `SCORES`, means over channels and grid: (time, …), (member, time, …) → (score, time).

    All are differences of states. Taken from the first member, identical members have no variance at all, and their
    CRPS is the mean absolute error to the last bit.
    """
    y, x = truth - members[0], members - members[0]
    points = (
        # `pwm` is the fair estimator in sorted form, M log M instead of M² operations
        crps_ensemble(y, x, m_axis=0, estimator="pwm", backend="numpy"),
        (x.mean(axis=0) - y) ** 2,
        x.var(axis=0, ddof=1),
    )
    return np.stack([values.mean(axis=tuple(range(1, values.ndim))) for values in points])


def rank_shares(truth: Array, members: Array, rng: np.random.Generator) -> Array:
    """Share of points at which the truth has each rank: (…), (member, …) → (rank,); NaN where a member is lost."""
    if not np.isfinite(members).all():
        return np.full(len(members) + 1, np.nan)
    rank = (members < truth).sum(axis=0) + rng.integers((members == truth).sum(axis=0) + 1)
    return np.bincount(rank.ravel(), minlength=len(members) + 1) / rank.size


def reliability(variance: Array, square: Array, members: int) -> Array:
    """√((M+1)/M) √variance / √square: 1 for a reliable ensemble; NaN where there is no error to compare with."""
    ratio = np.divide(variance, square, out=np.full_like(square, np.nan), where=square > 0)
    return np.sqrt((members + 1) / members * ratio)

"""Forecasts of the test truth, one per initial condition, their scores, and the climatological forecasts beside them.

Scores of an ensemble forecast, from its members x₁ … x_M and the truth y at every point:

    fair CRPS          (1/M) Σ |x_m − y| − 1/(2 M (M−1)) Σ Σ |x_m − x_n|
    squared error      (x̄ − y)²,  x̄ = (1/M) Σ x_m
    variance           1/(M−1) Σ (x_m − x̄)²
    rank               how many members lie below y: 0 … M; among members equal to y it is drawn

The fair CRPS of an ensemble drawn from F has the expectation E|X − y| − ½ E|X − X′| of F itself whatever M is (Ferro,
Q. J. R. Meteorol. Soc. 140, 2014). Members and truth that are exchangeable have uniform ranks (Hamill, Mon. Weather
Rev. 129, 2001) and a mean squared error of (M+1)/M times the mean variance (Fortin et al., J. Hydrometeorol. 15, 2014).

A forecast is read block of time by block of time, so that memory depends neither on the length of the trajectories nor
on the number of initial conditions. All states are in standard deviations of the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scoringrules import crps_ensemble

from thermalize.metrics.samples import VALUES_PER_BLOCK, Span, read

__all__ = [
    "SCORES",
    "Case",
    "Start",
    "cases",
    "climatology",
    "follow",
    "frame_scores",
    "rank_shares",
    "ranks",
    "reliability",
]

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


Start = tuple[int, int]
Reader = Callable[[int, int], Array]


@dataclass(frozen=True)
class Case:
    """Truth and ensemble from one initial condition on; readers take the leads start … stop−1 to (time, channel, …)."""

    truth: Reader
    ensemble: tuple[Reader, ...]
    std: Array  # (channel, 1, …)
    values: int  # in a state

    def states(self, start: int, stop: int) -> tuple[Array, Array]:
        """Truth (time, channel, …) and ensemble (member, time, channel, …) in standard deviations of the truth."""
        members = np.stack([reader(start, stop) for reader in self.ensemble])
        return self.truth(start, stop) / self.std, members / self.std

    def block(self, values: int) -> int:
        """Leads that make about so many numbers."""
        return max(1, values // ((len(self.ensemble) + 1) * self.values))


def cases(
    truth: xr.DataArray, runs: Sequence[xr.DataArray], starts: Sequence[Start], std: Array, every: int = 1
) -> Iterator[Case]:
    """The rollouts `runs`, one per seed, whose member i began at member and frame `starts[i]` of the truth.

    They hold the states of every so many frames, and leads count these.
    """
    for i, (member, frame) in enumerate(starts):
        ensemble = tuple(_moving(run, i, 0) for run in runs)
        yield Case(_moving(truth, member, frame, every), ensemble, *_measure(truth, std))


def climatology(
    truth: xr.DataArray, size: int, starts: Sequence[Start], std: Array, rng: np.random.Generator, every: int = 1
) -> Iterator[Case]:
    """The same truth against `size` of its own states, of other members at random times, that stand still."""
    for member, frame in starts:
        others = rng.permutation(np.delete(np.arange(truth.shape[0]), member))
        times = rng.integers(truth.shape[1], size=size)
        ensemble = tuple(_still(truth, *place) for place in zip(np.resize(others, size), times, strict=True))
        yield Case(_moving(truth, member, frame, every), ensemble, *_measure(truth, std))


def _measure(truth: xr.DataArray, std: Array) -> tuple[Array, int]:
    return std.reshape(-1, *(1 for _ in truth.shape[3:])), prod(truth.shape[2:])


def _moving(field: xr.DataArray, member: int, frame: int, every: int = 1) -> Reader:
    def frames(start: int, stop: int) -> Array:
        return read(field, Span(member, frame + start * every, frame + (stop - 1) * every + 1, every))

    return frames


def _still(field: xr.DataArray, member: int, frame: int) -> Reader:
    state = read(field, Span(member, frame, frame + 1))
    return lambda start, stop: np.repeat(state, stop - start, axis=0)


def follow(case: Case, leads: int, values: int = VALUES_PER_BLOCK) -> Array:
    """`SCORES` at the leads 1 … `leads`, (score, lead), about `values` numbers at a time.

    NaN from the lead on at which the first member of the ensemble is lost: the rest would be another, luckier ensemble.
    """
    scores = np.full((len(SCORES), leads), np.nan)
    block = case.block(values)
    for start in range(1, leads + 1, block):
        truth, ensemble = case.states(start, min(start + block, leads + 1))
        lost = np.flatnonzero(~np.isfinite(ensemble).all(axis=(0, *range(2, ensemble.ndim))))
        alive = int(lost[0]) if lost.size else truth.shape[0]
        scores[:, start - 1 : start - 1 + alive] = frame_scores(truth[:alive], ensemble[:, :alive])
        if lost.size:
            break
    return scores


def ranks(case: Case, leads: Sequence[int], rng: np.random.Generator) -> Array:
    """Shares of the truth's ranks at some leads, (lead, rank); NaN where a member of the ensemble is lost."""
    frames = [case.states(lead, lead + 1) for lead in leads]
    return np.stack([rank_shares(truth[0], ensemble[:, 0], rng) for truth, ensemble in frames])

"""Forecasts of the test truth, one per initial condition, and the climatological forecasts they are held against.

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

from thermalize.diagnostics.samples import VALUES_PER_BLOCK, Piece, read
from thermalize.diagnostics.scores import SCORES, frame_scores, rank_shares

__all__ = ["Case", "Start", "cases", "climatology", "follow", "ranks"]

Array = NDArray[np.float64]
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


def cases(truth: xr.DataArray, runs: Sequence[xr.DataArray], starts: Sequence[Start], std: Array) -> Iterator[Case]:
    """The rollouts `runs`, one per seed, whose member i began at member and frame `starts[i]` of the truth."""
    for i, (member, frame) in enumerate(starts):
        ensemble = tuple(_moving(run, i, 0) for run in runs)
        yield Case(_moving(truth, member, frame), ensemble, *_measure(truth, std))


def climatology(
    truth: xr.DataArray, size: int, starts: Sequence[Start], std: Array, rng: np.random.Generator
) -> Iterator[Case]:
    """The same truth against `size` of its own states, of other members at random times, that stand still."""
    for member, frame in starts:
        others = rng.permutation(np.delete(np.arange(truth.shape[0]), member))
        times = rng.integers(truth.shape[1], size=size)
        ensemble = tuple(_still(truth, *place) for place in zip(np.resize(others, size), times, strict=True))
        yield Case(_moving(truth, member, frame), ensemble, *_measure(truth, std))


def _measure(truth: xr.DataArray, std: Array) -> tuple[Array, int]:
    return std.reshape(-1, *(1 for _ in truth.shape[3:])), prod(truth.shape[2:])


def _moving(field: xr.DataArray, member: int, frame: int) -> Reader:
    return lambda start, stop: read(field, Piece(member, frame + start, frame + stop))


def _still(field: xr.DataArray, member: int, frame: int) -> Reader:
    state = read(field, Piece(member, frame, frame + 1))
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

"""A rollout as it is compared with the truth: all of it as series, its last frames as a sample, all of it in windows.

Everything that needs frames one after another is measured here, in one pass, whether they are read from a store or go
by while a rollout runs that stores few of them:

    all frames                   series, correlation with the truth that the rollout began with
    each window, as it ends      its distances
    last frames, at the end      sample, autocorrelation

The frames of a member that is lost end before it leaves the envelope of the truth: what it does until it is lost says
how large it may become, and nothing about the emulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.metrics.distributions import wasserstein
from thermalize.metrics.dynamics import autocorrelation, correlation
from thermalize.metrics.reference import Reference
from thermalize.metrics.samples import Frames, Sample, collect, final_frames, matched_members, time_blocks
from thermalize.metrics.series import Series
from thermalize.metrics.spectra import log_spectral_distance
from thermalize.metrics.stability import horizon

__all__ = ["MeasuredRollout", "Passage", "measure_rollout", "measured_passage", "window_distances", "window_starts"]

Array = NDArray[np.float64]
Starts = Sequence[tuple[int, int]]

VALUES_PER_WINDOW = 200_000
NEVER = -1


@dataclass(frozen=True)
class MeasuredRollout:
    """What is known of every member, and of those that are compared.

    Attributes:
        series: of every member and frame.
        correlation: with the truth, (member, lead).
        windows: log-spectral distance and Wasserstein-1 distance of every window, (window, 2).
        sample: the final frames of the members that are compared.
        autocorrelation: R (lag,) of the same frames.
    """

    series: Series
    correlation: Array
    windows: Array
    sample: Sample
    autocorrelation: Array

    @property
    def steps(self) -> int:
        """Emulator steps of the rollout."""
        return self.series.energy.shape[1] - 1

    @property
    def last_finite(self) -> NDArray[np.int64]:
        """Last finite frame of every member, (member,)."""
        return self.series.last_finite


class Passage:
    """The frames of a rollout as they pass by; frame 0 is the initial condition.

    Args:
        reference: the truth as it was measured.
        truth: its states.
        starts: the truth's (member, frame) of each initial condition.
        frames: of the rollout.
    """

    def __init__(self, reference: Reference, truth: Frames, starts: Starts, frames: int) -> None:
        self.reference, self.truth, self.starts = reference, truth, starts
        members, bands = len(starts), reference.bands
        self.series = Series.unknown(members, frames, truth.shape[2], len(bands))
        self.correlation = np.full((members, frames), np.nan)
        self.members = matched_members([member for member, _ in starts], reference.floor_half)
        self.before: Array | None = None
        self.gone = np.full(members, NEVER)
        self.left = np.full(members, NEVER)

    def see(self, start: int, u: Array) -> None:
        """The next frames (member, time, channel, *grid), the first of which is frame `start`."""
        time = slice(start, start + u.shape[1])
        self.series.enter(time, u, self.before, self.reference.invariants, self.reference.bands)
        lost = ~np.isfinite(self.series.energy[:, time])
        new = (self.gone == NEVER) & lost.any(axis=1)
        self.gone = np.where(new, start + lost.argmax(axis=1), self.gone)
        std, last = self.reference.standard.std, self.last(time.stop).tolist()
        self.correlation[:, time] = correlation(self.truth, u, start, self.starts, last, std)
        self.before = u[:, -1:].copy()
        self._judge(time)

    def last(self, frames: int) -> NDArray[np.int64]:
        """Last finite frame of every member (member,) among the first so many frames, all of which were seen."""
        return np.where(self.gone == NEVER, frames, np.minimum(self.gone, frames)) - 1

    def ends(self, frames: int) -> NDArray[np.int64]:
        """Last frame of every member (member,) that is compared, among the first so many."""
        last = self.last(frames)
        gone = (last < frames - 1) & (self.left != NEVER)
        return np.where(gone, np.minimum(last, self.left - 1), last)

    def _judge(self, time: slice) -> None:
        """Who leaves the envelope at new frames, with those before them that thresholds look back on."""
        limits = self.reference.envelope
        first = max(0, time.start - max(limits.spectrum_window, limits.frozen_steps))
        found = horizon(self.series.part(slice(first, time.stop)), limits, np.full(len(self.left), NEVER))
        new = (self.left == NEVER) & (found.observed == 1)
        self.left = np.where(new, first + found.step, self.left)

    @property
    def leads(self) -> int:
        """Frames that some truth follows."""
        frames = self.correlation.shape[1]
        return max(min(self.truth.shape[1] - frame, frames) for _, frame in self.starts)


def measure_rollout(field: xr.DataArray, truth: xr.DataArray, reference: Reference, starts: Starts) -> MeasuredRollout:
    """Measure (member, time, channel, *grid), read lazily, by the standards of the truth."""
    passage = Passage(reference, truth, starts, field.shape[1])
    for time, u in time_blocks(field):
        passage.see(time.start, u)
    windows = [
        window_distances(field, passage, start) for start in window_starts(field.shape[1], reference.compared).tolist()
    ]
    return measured_passage(passage, field, np.array(windows))


def measured_passage(passage: Passage, last: Frames, windows: Array) -> MeasuredRollout:
    """All of a rollout that has passed, of which `last` still holds the last frames of the members to compare."""
    reference, series = passage.reference, passage.series
    ends = passage.ends(series.energy.shape[1])
    spans = final_frames(passage.members, ends.tolist(), reference.compared, first=1)
    return MeasuredRollout(
        series=series,
        correlation=passage.correlation[:, : passage.leads],
        windows=windows,
        sample=collect(last, spans, reference.invariants, reference.standard, reference.block),
        autocorrelation=autocorrelation(last, spans, reference.standard, reference.autocorrelation.size - 1),
    )


def window_starts(frames: int, length: int) -> NDArray[np.int64]:
    """First frames of the windows of `length` frames, one after another after the initial condition."""
    return np.arange(1, frames - length + 1, length)


def window_distances(field: Frames, passage: Passage, start: int) -> tuple[float, float]:
    """Log-spectral distance and W₁ of field values in a window, over members that are there; NaN where none is.

    `field` holds the frames of the window, all of which have passed.
    """
    reference, frames = passage.reference, passage.reference.compared
    truth, end = reference.reference, start + frames
    spans = final_frames(passage.members, passage.ends(end).tolist(), frames, first=start)
    sample = collect(field, spans, reference.invariants, reference.standard, frames, VALUES_PER_WINDOW)
    containing, resolution = reference.energy_containing, reference.resolution
    spectral = log_spectral_distance(sample.mean_spectrum, truth.mean_spectrum, containing, resolution)
    return float(spectral), wasserstein(sample.field, truth.field)

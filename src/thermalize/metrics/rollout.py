"""A rollout as it is compared with the truth: all of it as series, and its last frames as a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.metrics.reference import Reference
from thermalize.metrics.samples import Sample, Span, collect, final_frames, matched_members
from thermalize.metrics.series import Series, series

__all__ = ["MeasuredRollout", "measure_rollout"]


@dataclass(frozen=True)
class MeasuredRollout:
    """The series of every member; as a sample, the final frames of the members that are compared."""

    field: xr.DataArray
    starts: list[tuple[int, int]]
    frames: int
    series: Series
    members: list[int]
    spans: list[Span]
    sample: Sample

    @property
    def last_finite(self) -> NDArray[np.int64]:
        """Last finite frame of every member, (member,)."""
        return self.series.last_finite


def measure_rollout(field: xr.DataArray, reference: Reference, starts: list[tuple[int, int]]) -> MeasuredRollout:
    """Measure (member, time, channel, *grid), read lazily, by the standards of the truth.

    Frame 0 is the initial condition; `starts` are the truth's (member, frame) of each.
    """
    measured = series(field, reference.invariants, reference.bands)
    members = matched_members([member for member, _ in starts], reference.floor_half)
    spans = final_frames(members, measured.last_finite.tolist(), reference.compared, first=1)
    sample = collect(field, spans, reference.invariants, reference.standard, reference.block)
    return MeasuredRollout(field, starts, reference.compared, measured, members, spans, sample)

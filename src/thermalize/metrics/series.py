"""Time series of every member that the horizon needs: energy, enstrophy, variances of bands of shells, increments.

One pass through the trajectory in blocks of time; what is kept are a few numbers per member and frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.metrics.invariants import Invariants
from thermalize.metrics.samples import time_blocks
from thermalize.metrics.spectra import Band

__all__ = ["Series", "series"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Numbers per member and frame; not finite where the state is not."""

    energy: Array  # (member, time)
    enstrophy: Array  # (member, time)
    bands: Array  # (member, time, band) variance of the shells of each band
    increment: Array  # (member, time, channel) rms of u(t) − u(t−1); NaN at the first frame

    @classmethod
    def unknown(cls, members: int, frames: int, channels: int, bands: int) -> Series:
        """Nothing is known yet."""
        shapes = ((), (), (bands,), (channels,))
        return cls(*(np.full((members, frames, *rest), np.nan) for rest in shapes))

    def enter(self, time: slice, u: Array, before: Array | None, invariants: Invariants, bands: Sequence[Band]) -> None:
        """Measure the states `u` (member, time, channel, *grid), which follow on the frame `before` (member, 1, …)."""
        with np.errstate(invalid="ignore", over="ignore"):
            spectrum, self.energy[:, time], self.enstrophy[:, time] = invariants.measure(u)
            for i, (channel, first, last) in enumerate(bands):
                self.bands[:, time, i] = spectrum[..., channel, first : last + 1].sum(axis=-1)
            steps = np.diff(u if before is None else np.concatenate([before, u], axis=1), axis=1)
            rms = np.sqrt((steps**2).mean(axis=tuple(range(3, u.ndim))))
            self.increment[:, time.stop - rms.shape[1] : time.stop] = rms

    def select(self, members: Sequence[int]) -> Series:
        """The series of some members, by position."""
        chosen = list(members)
        return Series(self.energy[chosen], self.enstrophy[chosen], self.bands[chosen], self.increment[chosen])

    @property
    def last_finite(self) -> NDArray[np.int64]:
        """Last frame before the first state that is not finite, (member,); −1 where already the first is not."""
        finite = np.isfinite(self.energy)
        return np.where(finite.all(axis=1), finite.shape[1], np.argmin(finite, axis=1)) - 1


def series(field: xr.DataArray, invariants: Invariants, bands: Sequence[Band]) -> Series:
    """Of (member, time, channel, *grid), read lazily, block by block in time."""
    result = Series.unknown(field.shape[0], field.shape[1], field.shape[2], len(bands))
    before: Array | None = None
    for time, u in time_blocks(field):
        result.enter(time, u, before, invariants, bands)
        before = u[:, -1:]
    return result

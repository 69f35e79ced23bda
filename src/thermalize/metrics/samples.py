"""What is compared with what: samples of frames, cut into blocks, from trajectories that are read lazily.

The test truth is split by members into a *reference* half (even positions) and a *floor* half (odd positions). A
distance compares a sample with the reference half; its noise floor compares the floor half with it. All samples are of
the floor half's size: m members × the last F finite frames of each, with F the frames of the truth, and both m and F
cut to what the rollout offers. Of the rollout's members those that started from the floor half come first, so that a
rollout, like the floor half, shares no initial condition with the reference while it can.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.metrics.invariants import Invariants

__all__ = [
    "Frames",
    "Sample",
    "Span",
    "Standard",
    "collect",
    "empty",
    "final_frames",
    "halves",
    "joined",
    "matched_members",
    "read",
    "standardise",
    "time_blocks",
]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

VALUES_PER_BLOCK = 2**21
"""Numbers held at once when a trajectory is read block by block in time."""


class Frames(Protocol):
    """States (member, time, channel, *grid), as an array that reads what it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    def __getitem__(self, place: tuple[int, slice], /) -> Any: ...


@dataclass(frozen=True)
class Span:
    """Frames start … stop−1 of one member (its position), or every so many of them."""

    member: int
    start: int
    stop: int
    every: int = 1


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of the field and standard deviation of one-step increments, each (channel,)."""

    mean: Array
    std: Array
    increment_std: Array


@dataclass(frozen=True)
class Sample:
    """Sums over blocks and standardised values; blocks number along the first axis of the first five arrays."""

    member: Integers  # (block,)
    rank: Integers  # (block,) from the last block of its member, 0
    frames: Array  # (block,)
    spectrum: Array  # (block, channel, shell), sum over the block's frames
    energy_spectrum: Array  # (block, channel, shell), likewise; no channels where it is unknown
    field: Array  # (value,)
    field_block: Integers  # (value,)
    increment: Array  # (value,)
    increment_block: Integers  # (value,)

    def select(self, members: Sequence[int]) -> Sample:
        """The blocks of some members, in their order here."""
        kept = np.isin(self.member, list(members))
        number = np.cumsum(kept) - 1
        values, steps = kept[self.field_block], kept[self.increment_block]
        return Sample(
            member=self.member[kept],
            rank=self.rank[kept],
            frames=self.frames[kept],
            spectrum=self.spectrum[kept],
            energy_spectrum=self.energy_spectrum[kept],
            field=self.field[values],
            field_block=number[self.field_block[values]],
            increment=self.increment[steps],
            increment_block=number[self.increment_block[steps]],
        )

    @property
    def mean_spectrum(self) -> Array:
        """Variance spectrum over all frames, (channel, shell); NaN for an empty sample."""
        return self.mean("spectrum")

    def mean(self, name: str) -> Array:
        """The spectrum of that name over all frames, (channel, shell); NaN for an empty sample."""
        frames, spectrum = self.frames.sum(), getattr(self, name)
        return np.full(spectrum.shape[1:], np.nan) if frames == 0 else spectrum.sum(axis=0) / frames


def halves(members: int) -> tuple[list[int], list[int]]:
    """Positions of the reference half and of the floor half, of equal size: even and odd ones."""
    half = members // 2
    return list(range(0, 2 * half, 2)), list(range(1, 2 * half, 2))


def matched_members(initial_member: Sequence[int], floor_half: Sequence[int]) -> list[int]:
    """Rollout members to compare, as many as the floor half has where there are: those that started from it first."""
    order = sorted(range(len(initial_member)), key=lambda i: (initial_member[i] not in floor_half, i))
    return sorted(order[: len(floor_half)])


def final_frames(members: Sequence[int], last: Sequence[int], frames: int, first: int = 0) -> list[Span]:
    """The last `frames` frames of each member up to its frame `last` (member,), none before frame `first`."""
    spans = [Span(m, max(first, int(last[m]) + 1 - frames), int(last[m]) + 1) for m in members]
    return [span for span in spans if span.stop > span.start]


def read(field: Frames, span: Span) -> Array:
    """Frames of one member in double precision, (time, channel, *grid)."""
    return np.asarray(field[span.member, span.start : span.stop : span.every], dtype=np.float64)


def time_blocks(field: xr.DataArray | NDArray[np.floating]) -> Iterator[tuple[slice, Array]]:
    """All members in blocks of time that bound the memory: slices with (member, time, channel, *grid)."""
    per_frame = field.size // field.shape[1]
    frames = max(1, VALUES_PER_BLOCK // per_frame)
    for start in range(0, field.shape[1], frames):
        block = slice(start, min(start + frames, field.shape[1]))
        yield block, np.asarray(field[:, block], dtype=np.float64)


def standardise(field: xr.DataArray, spans: Sequence[Span]) -> Standard:
    """The standard of the given spans, which is the truth's; a channel that never varies has deviation 1."""
    axes = (0, *range(2, field.ndim - 1))
    moments, steps = [], []
    for span in spans:
        values = read(field, span)
        moments.append((values.mean(axis=axes), (values**2).mean(axis=axes)))
        steps.append((np.diff(values, axis=0) ** 2).mean(axis=axes))
    mean, square = np.mean(moments, axis=0)
    std, increment_std = np.sqrt(np.maximum(square - mean**2, 0.0)), np.sqrt(np.mean(steps, axis=0))
    return Standard(mean, np.where(std > 0, std, 1.0), np.where(increment_std > 0, increment_std, 1.0))


def collect(
    field: Frames,
    spans: Sequence[Span],
    invariants: Invariants,
    standard: Standard,
    block: int,
    values: int = 10**6,
) -> Sample:
    """Read the spans one by one into blocks of `block` frames, counted back from each span's end.

    At most `values` field values and as many increments are kept, at a fixed stride that visits every grid point in
    turn. An increment belongs to the frame it leads to; the frame before a span gives its first one where it exists.
    """
    points = int(np.prod(field.shape[2:]))
    stride = _stride(sum(span.stop - span.start for span in spans) * points, values, points)
    parts = (_span_sample(field, span, invariants, standard, block, stride) for span in spans)
    return joined([empty(invariants), *parts])


def joined(samples: Sequence[Sample]) -> Sample:
    """One sample of the blocks of all."""
    offsets = np.cumsum([0, *(sample.frames.size for sample in samples)])
    moved = [
        replace(s, field_block=s.field_block + offset, increment_block=s.increment_block + offset)
        for s, offset in zip(samples, offsets, strict=False)
    ]
    return Sample(**{name: np.concatenate([getattr(s, name) for s in moved]) for name in Sample.__dataclass_fields__})


def _stride(total: int, values: int, points: int) -> int:
    """Smallest stride that keeps at most `values` of `total` and shares no factor with the points of a frame."""
    stride = max(1, -(-total // values))
    while gcd(stride, points) > 1:
        stride += 1
    return stride


def _span_sample(
    field: Frames, span: Span, invariants: Invariants, standard: Standard, block: int, stride: int
) -> Sample:
    """The sample of one span."""
    known = read(field, replace(span, start=max(0, span.start - 1)))
    length = span.stop - span.start
    before = known.shape[0] - length
    rank = np.arange(length)[::-1] // block
    starts = np.flatnonzero(np.diff(rank, prepend=-1))
    number = rank[0] - rank
    scale = (slice(None),) + (None,) * (field.ndim - 3)
    values = (known[before:] - standard.mean[scale]) / standard.std[scale]
    steps = np.diff(known, axis=0) / standard.increment_std[scale]
    step_number = number[length - steps.shape[0] :]
    variance, energy = (np.add.reduceat(s, starts, axis=0) for s in invariants.spectra(known[before:]))
    return Sample(
        member=np.full(starts.size, span.member),
        rank=rank[starts],
        frames=np.bincount(number).astype(np.float64),
        spectrum=variance,
        energy_spectrum=energy,
        field=values.ravel()[::stride],
        field_block=np.repeat(number, values[0].size)[::stride],
        increment=steps.ravel()[::stride],
        increment_block=np.repeat(step_number, values[0].size)[::stride],
    )


def empty(invariants: Invariants) -> Sample:
    """A sample of no frames."""
    number, value = np.zeros(0, dtype=np.int64), np.zeros(0)
    nothing = np.zeros((0, invariants.mean.size, *invariants.shells.shape))
    return Sample(number, number, value, *invariants.spectra(nothing), value, number, value, number)

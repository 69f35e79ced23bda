"""The truth as the measuring rod, and the rollout as it is laid against it.

Shells, halves, standard, memory, envelope: all are fixed by the truth before the rollout is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig
from thermalize.metrics.dynamics import autocorrelation, integral_time
from thermalize.metrics.invariants import Invariants, invariants
from thermalize.metrics.samples import (
    Piece,
    Sample,
    Standard,
    collect,
    final_pieces,
    halves,
    matched_members,
    standardise,
)
from thermalize.metrics.series import Series, series
from thermalize.metrics.spectra import Band, Shells, energy_containing, octave_bands
from thermalize.metrics.stability import Envelope, Horizon, envelope, horizon
from thermalize.runtime.errors import UserError

__all__ = ["Rollout", "Truth", "comparable", "field_of", "halves_of", "measure_rollout", "measure_truth", "shells_of"]

Array = NDArray[np.float64]

BLOCK_IN_INTEGRAL_TIMES = 10
LEAST_BLOCKS = 4


@dataclass(frozen=True)
class Truth:
    """Everything the rollout is measured with; all thresholds come from the reference half."""

    field: xr.DataArray
    invariants: Invariants
    reference_half: list[int]
    floor_half: list[int]
    standard: Standard
    autocorrelation: Array
    block: int
    reference: Sample
    energy_containing: NDArray[np.bool_]  # (channel, shell)
    tail: NDArray[np.bool_]  # (channel, shell)
    resolution: Array  # (channel, 1) variance in a shell that float32 resolves
    bands: list[Band]
    series: Series
    envelope: Envelope
    held_out: Horizon

    def sample(self, members: Sequence[int], frames: int) -> Sample:
        """The last `frames` frames of some members of the truth."""
        last = [self.field.shape[1] - 1] * self.field.shape[0]
        return collect(self.field, final_pieces(members, last, frames), self.invariants, self.standard, self.block)


@dataclass(frozen=True)
class Rollout:
    """A rollout: all of it as series; as a sample, the final frames of the members that are compared."""

    field: xr.DataArray
    starts: list[tuple[int, int]]
    frames: int
    series: Series
    members: list[int]
    pieces: list[Piece]
    sample: Sample

    @property
    def last_finite(self) -> NDArray[np.int64]:
        """Last finite frame of every member, (member,)."""
        return self.series.last_finite


def field_of(dataset: xr.Dataset) -> xr.DataArray:
    """The variable of a trajectory, (member, time, channel, *grid)."""
    return dataset[dataset.attrs["variable"]].transpose("member", "time", "channel", ...)


def comparable(truth: xr.Dataset, rollout: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """The variables of a truth and of a rollout; refused where channels or grid differ."""
    reality, field = field_of(truth), field_of(rollout)
    if field.shape[2:] != reality.shape[2:]:
        raise UserError(f"the rollout's channels and grid {field.shape[2:]} are not the truth's {reality.shape[2:]}")
    return reality, field


def halves_of(field: xr.DataArray) -> tuple[list[int], list[int]]:
    """The reference half and the floor half of a truth; refused where it has too few members for both."""
    reference_half, floor_half = halves(field.shape[0])
    if not reference_half:
        raise UserError("diagnostics need two test members, for a noise floor; raise simulation.splits.test.members")
    return reference_half, floor_half


def shells_of(field: xr.DataArray) -> Shells:
    """Shells of the field's equidistant periodic grid: L = N Δx along each axis."""
    axes = [np.asarray(field[dim], dtype=np.float64) for dim in field.dims[3:]]
    return Shells(tuple(x.size for x in axes), tuple(float(x.size * (x[-1] - x[0]) / (x.size - 1)) for x in axes))


def measure_truth(
    field: xr.DataArray, frames: int, config: DiagnosticsConfig, system: Mapping[str, Any] | None = None
) -> Truth:
    """Measure the test truth; `frames` bounds the sample that a rollout of that length offers.

    `system` holds the parameters of the simulated system, of which energy and enstrophy may need some.
    """
    reference_half, floor_half = halves_of(field)
    shells = shells_of(field)
    pieces = [Piece(member, 0, field.shape[1]) for member in reference_half]
    standard = standardise(field, pieces)
    memory = autocorrelation(field, pieces, standard, min(config.max_lag, frames // 2))
    block = block_length(integral_time(memory), frames)
    measures = invariants(str(field.name), system or {}, shells, standard.mean, standard.std)
    reference = collect(field, pieces, measures, standard, block)
    spectrum = reference.mean_spectrum
    containing = energy_containing(spectrum, config.energy_fraction, shells.limit)
    bands = bands_of(containing)
    walk = series(field, measures, bands)
    limits, held_out = judge_truth(walk, reference_half, floor_half, bands, config)
    shell = np.arange(spectrum.shape[-1])
    return Truth(
        field=field,
        invariants=measures,
        reference_half=reference_half,
        floor_half=floor_half,
        standard=standard,
        autocorrelation=memory,
        block=block,
        reference=reference,
        energy_containing=containing,
        tail=(shell >= 1) & (shell <= shells.limit) & ~containing,
        resolution=spectrum.sum(axis=-1, keepdims=True) * np.finfo(np.float32).eps ** 2 / np.prod(shells.shape),
        bands=bands,
        series=walk,
        envelope=limits,
        held_out=held_out,
    )


def bands_of(containing: NDArray[np.bool_]) -> list[Band]:
    """The octaves of the energy-containing shells (channel, shell) of every channel that varies."""
    last = {channel: int(np.flatnonzero(shells)[-1]) for channel, shells in enumerate(containing) if shells.any()}
    return [Band(channel, *octave) for channel, shell in last.items() for octave in octave_bands(shell)]


def block_length(integral_time: float, frames: int) -> int:
    """Ten integral times, but at least four blocks in a member's frames."""
    wanted = ceil(BLOCK_IN_INTEGRAL_TIMES * integral_time) if np.isfinite(integral_time) else 1
    return max(1, min(wanted, frames // LEAST_BLOCKS))


def judge_truth(
    truth: Series,
    reference_half: list[int],
    floor_half: list[int],
    bands: list[Band],
    config: DiagnosticsConfig,
) -> tuple[Envelope, Horizon]:
    """The envelope of the reference half, and what it says about the floor half (nothing, or it is too narrow)."""
    limits = envelope(
        truth.select(reference_half), bands, config.spectrum_window, config.frozen_fraction, config.frozen_steps
    )
    return limits, horizon(truth.select(floor_half), limits, np.full(len(floor_half), -1))


def measure_rollout(field: xr.DataArray, rod: Truth, frames: int, starts: list[tuple[int, int]]) -> Rollout:
    """Walk through the rollout; `starts` are the truth's (member, frame) of every initial condition."""
    walk = series(field, rod.invariants, rod.bands)
    members = matched_members([member for member, _ in starts], rod.floor_half)
    pieces = final_pieces(members, walk.last_finite.tolist(), frames, first=1)
    sample = collect(field, pieces, rod.invariants, rod.standard, rod.block)
    return Rollout(field, starts, frames, walk, members, pieces, sample)

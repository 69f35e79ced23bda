"""The truth, measured once: what every rollout, every diffusion model and every ensemble is compared with.

Shells, halves, standard, block length, envelope: all are fixed by the truth before anything is compared with it. What
depends on the length of the rollouts (lags, blocks) does so through one number: how many frames are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig
from thermalize.metrics.dynamics import autocorrelation, integral_time, slow_fluctuations
from thermalize.metrics.invariants import Invariants, invariants
from thermalize.metrics.samples import Sample, Span, Standard, collect, halves, joined, standardise
from thermalize.metrics.series import Series, series
from thermalize.metrics.spectra import Band, Shells, energy_containing, octave_bands
from thermalize.metrics.stability import Envelope, Horizon, envelope, horizon
from thermalize.runtime.errors import UserError

__all__ = [
    "Reference",
    "bands_of",
    "block_length",
    "comparable",
    "field_of",
    "halves_of",
    "invariants_of",
    "measure_reference",
    "shells_of",
    "system_parameters",
]

Array = NDArray[np.float64]

BLOCK_IN_INTEGRAL_TIMES = 10
LEAST_BLOCKS = 4


@dataclass(frozen=True)
class Reference:
    """A truth of some members; all thresholds come from its reference half.

    Attributes:
        members: of the truth.
        frames: of each of its members.
        compared: last frames of a member that are compared with those of a rollout.
        invariants: what energy and enstrophy are.
        standard: mean and deviations of the channels.
        autocorrelation: R (lag,).
        block: frames of a block of the bootstrap.
        sample: both halves, the reference half first.
        energy_containing: which shells are, (channel, shell).
        series: of every member and frame.
        envelope: what a member must not leave.
        held_out: how the envelope judges the floor half.
    """

    members: int
    frames: int
    compared: int
    invariants: Invariants
    standard: Standard
    autocorrelation: Array
    block: int
    sample: Sample
    energy_containing: NDArray[np.bool_]
    series: Series
    envelope: Envelope
    held_out: Horizon

    @property
    def reference_half(self) -> list[int]:
        """Positions of the members of the reference half."""
        return halves(self.members)[0]

    @property
    def floor_half(self) -> list[int]:
        """Positions of the members of the floor half."""
        return halves(self.members)[1]

    @cached_property
    def reference(self) -> Sample:
        """The sample of the reference half."""
        return self.sample.select(self.reference_half)

    @property
    def bands(self) -> list[Band]:
        """Octaves of the energy-containing shells."""
        return bands_of(self.energy_containing)

    @property
    def tail(self) -> NDArray[np.bool_]:
        """Shells beyond the energy-containing ones up to the dealiasing limit, (channel, shell)."""
        shell = np.arange(self.energy_containing.shape[-1])
        return (shell >= 1) & (shell <= self.invariants.shells.limit) & ~self.energy_containing

    @property
    def resolution(self) -> Array:
        """Variance in a shell that float32 resolves, (channel, 1)."""
        total = self.reference.mean_spectrum.sum(axis=-1, keepdims=True)
        return np.asarray(total * np.finfo(np.float32).eps ** 2 / np.prod(self.invariants.shells.shape))

    @property
    def integral_time(self) -> float:
        """Of the truth [emulator steps]."""
        return integral_time(self.autocorrelation)

    @property
    def slow_fluctuations_floor(self) -> float:
        """Slow fluctuations of the floor half, relative to those of the reference half."""
        reference, held_out = (self.series.select(half).bands for half in (self.reference_half, self.floor_half))
        return slow_fluctuations(held_out, reference, self.block)


def field_of(dataset: xr.Dataset) -> xr.DataArray:
    """The variable of a trajectory, (member, time, channel, *grid)."""
    return dataset[dataset.attrs["variable"]].transpose("member", "time", "channel", ...)


def comparable(truth: xr.Dataset, rollout: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """The variables of a truth and of a rollout; refused where channels or grid differ."""
    reality, field = field_of(truth), field_of(rollout)
    if field.shape[2:] != reality.shape[2:]:
        raise UserError(f"the rollout's channels and grid {field.shape[2:]} are not the truth's {reality.shape[2:]}")
    return reality, field


def system_parameters(truth: xr.Dataset) -> dict[str, Any]:
    """Parameters of the simulated system of a truth, of which energy and enstrophy may need some."""
    return dict(json.loads(truth.attrs.get("system", "{}")))


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


def invariants_of(field: xr.DataArray, standard: Standard, system: Mapping[str, Any] | None = None) -> Invariants:
    """Energy and enstrophy of a field; `system` holds the parameters of the simulated system that they may need."""
    return invariants(str(field.name), system or {}, shells_of(field), standard.mean, standard.std)


def measure_reference(
    field: xr.DataArray, compared: int, config: DiagnosticsConfig, system: Mapping[str, Any] | None = None
) -> Reference:
    """Measure a truth (member, time, channel, *grid), read lazily.

    Args:
        field: all of it.
        compared: frames of a member that a rollout offers for comparison, at most those that the truth has.
        config: fractions, windows and the longest lag.
        system: parameters of the simulated system, of which energy and enstrophy may need some.

    Raises:
        UserError: it has too few members for two halves.
    """
    reference_half, floor_half = halves_of(field)
    spans = [Span(member, 0, field.shape[1]) for member in reference_half]
    standard = standardise(field, spans)
    correlation = autocorrelation(field, spans, standard, min(config.max_lag, compared // 2))
    block = block_length(integral_time(correlation), compared)
    measures = invariants_of(field, standard, system)
    floor_spans = [Span(member, 0, field.shape[1]) for member in floor_half]
    reference, floor = (collect(field, half, measures, standard, block) for half in (spans, floor_spans))
    containing = energy_containing(reference.mean_spectrum, config.energy_fraction, measures.shells.limit)
    bands = bands_of(containing)
    truth = series(field, measures, bands)
    limits, held_out = judge_truth(truth, reference_half, floor_half, bands, config)
    return Reference(
        members=field.shape[0],
        frames=field.shape[1],
        compared=compared,
        invariants=measures,
        standard=standard,
        autocorrelation=correlation,
        block=block,
        sample=joined([reference, floor]),
        energy_containing=containing,
        series=truth,
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
    reference_half: Sequence[int],
    floor_half: Sequence[int],
    bands: list[Band],
    config: DiagnosticsConfig,
) -> tuple[Envelope, Horizon]:
    """The envelope of the reference half, and what it says about the floor half (nothing, or it is too narrow)."""
    limits = envelope(
        truth.select(reference_half), bands, config.spectrum_window, config.frozen_fraction, config.frozen_steps
    )
    return limits, horizon(truth.select(floor_half), limits, np.full(len(floor_half), -1))

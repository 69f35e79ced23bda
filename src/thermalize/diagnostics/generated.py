"""States that a diffusion model made against held-out truth: spectra, densities, and distances with floors.

The rod is that of the rollouts (study.py): the same shells, standard and halves. Both halves of the truth are thinned
to n states, evenly spread over members and time. Those of the floor half are the origins of what the model makes from
truth; everything is compared with those of the reference half, at equal sample size, and so are the origins themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig
from thermalize.diagnostics.distances import Comparison, compare
from thermalize.diagnostics.distributions import density, truth_edges, wasserstein
from thermalize.diagnostics.samples import Piece, Sample, collect, joined
from thermalize.diagnostics.spectra import log_spectral_distance
from thermalize.diagnostics.study import Truth, measure_truth

__all__ = ["Yardstick", "compared", "yardstick"]

Numbers = dict[str, Any]
States = NDArray[np.floating]


@dataclass(frozen=True)
class Yardstick:
    """The truth that generated states are compared with; `block` counts thinned frames."""

    rod: Truth
    thinned: xr.DataArray  # (member, frame, channel, *grid), in memory
    block: int

    @property
    def origins(self) -> States:
        """The states of the floor half, (member, frame, channel, *grid)."""
        return self.thinned[self.rod.floor_half].to_numpy()

    def half(self, members: Sequence[int]) -> Sample:
        """The states of some members of the truth."""
        return self._collect(self.thinned, members)

    def sample(self, states: States) -> Sample:
        """States (member, frame, channel, *grid), of which those of one member may depend on each other."""
        return self._collect(xr.DataArray(states, dims=self.thinned.dims), range(len(states)))

    def _collect(self, field: xr.DataArray, members: Sequence[int]) -> Sample:
        pieces = [Piece(member, 0, field.shape[1]) for member in members]
        return collect(field, pieces, self.rod.invariants, self.rod.standard, self.block)


def yardstick(field: xr.DataArray, config: DiagnosticsConfig, system: Mapping[str, Any]) -> Yardstick:
    """Thin the test truth (member, time, channel, *grid) to at most `config.samples` states a half, one of each member
    at least."""
    frames = field.shape[1]
    rod = measure_truth(field, frames, config, system)
    count = min(frames, max(1, config.samples // len(rod.floor_half)))
    chosen = np.linspace(0, frames - 1, count).astype(np.int64)
    return Yardstick(rod, field[:, chosen].load(), -(-rod.block * count // frames))


def compared(
    stick: Yardstick,
    made: Mapping[str, States],
    config: DiagnosticsConfig,
    rng: Callable[[str], np.random.Generator],
) -> Numbers:
    """Spectra, densities and distances of every kind of states `made` (member, frame, channel, *grid), by name.

    What belongs to the states has the kind as its first axis. `rng` gives the draws of "truth", the same at each call
    so that all kinds see the same floor, and those of every kind.
    """
    every = [_comparison(stick, stick.sample(states), config, rng("truth"), rng(kind)) for kind, states in made.items()]
    distances = [_distances(stick.rod, comparison) for comparison in every]
    return {
        "kind": np.array(list(made)),
        "truth_mean": stick.rod.standard.mean,
        "truth_std": stick.rod.standard.std,
        **_spectra(stick.rod, every),
        **_densities(every, config.pdf_bins),
        **{name: np.array([each[name] for each in distances]) for name in distances[0]},
        **_of_origins(stick),
    }


def _comparison(
    stick: Yardstick,
    made: Sample,
    config: DiagnosticsConfig,
    truth_rng: np.random.Generator,
    made_rng: np.random.Generator,
) -> Comparison:
    reference, floor = stick.half(stick.rod.reference_half), stick.half(stick.rod.floor_half)
    samples = {"reference": reference, "floor": floor, "rollout": made, "pool": joined([reference, floor])}
    blocks = -(-stick.thinned.shape[1] // stick.block)
    return compare(samples, blocks, config.resamples, config.confidence, truth_rng, made_rng)


def _distances(rod: Truth, comparison: Comparison) -> dict[str, float]:
    tail = comparison.spectral(rod.tail, rod.resolution)
    return {
        **comparison.spectral(rod.energy_containing, rod.resolution).named("log_spectral_distance"),
        "log_spectral_distance_tail": tail.value,
        "log_spectral_distance_tail_floor": tail.floor,
        **comparison.wasserstein("field").named("wasserstein_field"),
    }


def _of_origins(stick: Yardstick) -> dict[str, float]:
    """The distances that the states of the floor half have before a model touches them."""
    rod, origins, reference = stick.rod, stick.half(stick.rod.floor_half), stick.half(stick.rod.reference_half)
    spectra = origins.mean_spectrum, reference.mean_spectrum
    return {
        "log_spectral_distance_origins": float(log_spectral_distance(*spectra, rod.energy_containing, rod.resolution)),
        "wasserstein_field_origins": wasserstein(origins.field, reference.field),
    }


def _spectra(rod: Truth, every: Sequence[Comparison]) -> Numbers:
    """Variance spectra up to the dealiasing limit without the mean, with their intervals."""
    shown = slice(1, rod.invariants.shells.limit + 1)

    def curves(comparison: Comparison, made: bool) -> NDArray[np.float64]:
        sample = comparison.rollout if made else comparison.reference
        return np.stack([sample.mean_spectrum, *comparison.spectrum_interval("spectrum", rollout=made)])[..., shown]

    truth, samples = curves(every[0], made=False), np.stack([curves(each, made=True) for each in every], axis=1)
    ends = ("", "_low", "_high")
    return {
        "wavenumber": rod.invariants.shells.wavenumber[shown],
        "energy_containing": rod.energy_containing[:, shown].astype(np.int8),
        **{f"spectrum_truth{end}": values for end, values in zip(ends, truth, strict=True)},
        **{f"spectrum_samples{end}": values for end, values in zip(ends, samples, strict=True)},
    }


def _densities(every: Sequence[Comparison], bins: int) -> Numbers:
    """Probability densities of the field on bins that the truth fixes."""
    truth = every[0].reference.field
    edges = truth_edges(truth, bins)
    return {
        "field_bin": 0.5 * (edges[:-1] + edges[1:]),
        "field_pdf_truth": density(truth, edges),
        "field_pdf_samples": np.stack([density(each.rollout.field, edges) for each in every]),
    }

"""States that a diffusion model made against held-out truth, as one CF dataset: spectra, densities, distances, floors.

They are compared with the same reference as rollouts: the same shells, standard and halves. Both halves of the truth
are thinned to n states, evenly spread over members and time. Those of the floor half are the origins of what the model
makes from truth; everything is compared with those of the reference half, at equal sample size, and so are the origins
themselves. The stage that makes the states writes the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig, Experiment
from thermalize.metrics.declared import CHANNEL, Variable, dataset_of, units_of, with_floor
from thermalize.metrics.distances import Comparison, compare
from thermalize.metrics.distributions import density, truth_edges, wasserstein
from thermalize.metrics.families.distances import CONTAINING, DISTANCES, SPECTRA, TAIL, WAVENUMBER, spectrum
from thermalize.metrics.families.distributions import BINS, DENSITIES
from thermalize.metrics.reference import Reference, block_length
from thermalize.metrics.registry import TRUTH
from thermalize.metrics.samples import Sample, Span, collect, joined
from thermalize.metrics.spectra import log_spectral_distance
from thermalize.runtime.streams import stream

__all__ = ["COORDINATES", "VARIABLES", "ThinnedTruth", "compared", "describe_generated", "thin"]

Numbers = dict[str, Any]
States = NDArray[np.floating]

STD = "in standard deviations of the data"
KINDS = (
    "unconditional: from pure noise; partial: true states, noised and denoised; thermalized: the same at a low level"
)
MEASURED = {name: text for name, text in DISTANCES.items() if name != "wasserstein_increment"}
COORDINATES = {
    "kind": Variable(("kind",), KINDS, ""),
    "channel": CHANNEL,
    "wavenumber": WAVENUMBER,
    "field_bin": BINS["field_bin"],
}
VARIABLES: dict[str, Variable] = {
    **{name: TRUTH[name] for name in ("truth_mean", "truth_std")},
    "energy_containing": CONTAINING,
    "field_pdf_truth": DENSITIES["field_pdf_truth"],
    **{name: each for name, each in SPECTRA.items() if name.startswith("spectrum_truth")},
    "level": Variable(("kind",), "noise level from which the states were denoised", known=True),
    "noise": Variable(("kind",), f"standard deviation of the noise at that level, {STD}", known=True),
    "evaluations": Variable(("kind",), "network evaluations per state", known=True),
    "field_pdf_samples": Variable(("kind", "bin"), "probability density of field values of the states", known=True),
    **spectrum(
        "spectrum_samples",
        Variable(("kind", "channel", "shell"), "variance spectrum of the states", "{variance}", known=True),
    ),
    **{
        name: each
        for stem, text in MEASURED.items()
        for name, each in with_floor(stem, Variable(("kind",), text)).items()
    },
    **{name: replace(each, dims=("kind",)) for name, each in TAIL.items()},
    **{
        f"{name}_origins": Variable((), f"{text}: of true states that were not touched")
        for name, text in MEASURED.items()
    },
}


@dataclass(frozen=True)
class ThinnedTruth:
    """The truth that generated states are compared with; `block` counts thinned frames."""

    reference: Reference
    states: xr.DataArray  # (member, frame, channel, *grid), in memory
    block: int

    @property
    def origins(self) -> States:
        """The states of the floor half, (member, frame, channel, *grid)."""
        return self.states[self.reference.floor_half].to_numpy()

    def half(self, members: Sequence[int]) -> Sample:
        """The states of some members of the truth."""
        return self._collect(self.states, members)

    def sample(self, states: States) -> Sample:
        """States (member, frame, channel, *grid), of which those of one member may depend on each other."""
        return self._collect(xr.DataArray(states, dims=self.states.dims), range(len(states)))

    def _collect(self, field: xr.DataArray, members: Sequence[int]) -> Sample:
        spans = [Span(member, 0, field.shape[1]) for member in members]
        return collect(field, spans, self.reference.invariants, self.reference.standard, self.block)


def thin(field: xr.DataArray, reference: Reference, samples: int) -> ThinnedTruth:
    """Thin the truth (member, time, channel, *grid) to at most `samples` states a half, one of each member at least."""
    frames = field.shape[1]
    count = min(frames, max(1, samples // len(reference.floor_half)))
    chosen = np.linspace(0, frames - 1, count).astype(np.int64)
    block = block_length(reference.integral_time, frames)
    return ThinnedTruth(reference, field[:, chosen].load(), -(-block * count // frames))


def compared(
    truth: ThinnedTruth,
    made: Mapping[str, States],
    config: DiagnosticsConfig,
    rng: Callable[[str], np.random.Generator],
) -> Numbers:
    """Spectra, densities and distances of every kind of states `made` (member, frame, channel, *grid), by name.

    What belongs to the states has the kind as its first axis. `rng` gives the draws of "truth", the same at each call
    so that all kinds see the same floor, and those of every kind.
    """
    every = [_comparison(truth, truth.sample(states), config, rng("truth"), rng(kind)) for kind, states in made.items()]
    distances = [_distances(truth.reference, comparison) for comparison in every]
    return {
        "kind": np.array(list(made)),
        "truth_mean": truth.reference.standard.mean,
        "truth_std": truth.reference.standard.std,
        **_spectra(truth.reference, every),
        **_densities(every, config.pdf_bins),
        **{name: np.array([each[name] for each in distances]) for name in distances[0]},
        **_of_origins(truth),
    }


def _comparison(
    truth: ThinnedTruth,
    made: Sample,
    config: DiagnosticsConfig,
    truth_rng: np.random.Generator,
    made_rng: np.random.Generator,
) -> Comparison:
    reference, floor = truth.half(truth.reference.reference_half), truth.half(truth.reference.floor_half)
    return compare(
        reference,
        made,
        joined([reference, floor]),
        floor_members=len(truth.reference.floor_half),
        floor_blocks=-(-truth.states.shape[1] // truth.block),
        config=config,
        truth_rng=truth_rng,
        rollout_rng=made_rng,
    )


def _distances(reference: Reference, comparison: Comparison) -> dict[str, float]:
    return {
        **comparison.spectral_distances(reference.energy_containing, reference.tail, reference.resolution),
        **comparison.wasserstein("field").named("wasserstein_field"),
    }


def _of_origins(truth: ThinnedTruth) -> dict[str, float]:
    """The distances that the states of the floor half have before a model touches them."""
    reference = truth.reference
    origins, own = truth.half(reference.floor_half), truth.half(reference.reference_half)
    spectra = origins.mean_spectrum, own.mean_spectrum
    distance = log_spectral_distance(*spectra, reference.energy_containing, reference.resolution)
    return {
        "log_spectral_distance_origins": float(distance),
        "wasserstein_field_origins": wasserstein(origins.field, own.field),
    }


def _spectra(reference: Reference, every: Sequence[Comparison]) -> Numbers:
    """Variance spectra up to the dealiasing limit without the mean, with their intervals."""
    shells = reference.invariants.shells
    shown = slice(1, shells.limit + 1)

    def curves(comparison: Comparison, made: bool) -> NDArray[np.float64]:
        sample = comparison.rollout if made else comparison.reference
        return np.stack([sample.mean_spectrum, *comparison.spectrum_interval("spectrum", rollout=made)])[..., shown]

    truth, samples = curves(every[0], made=False), np.stack([curves(each, made=True) for each in every], axis=1)
    ends = ("", "_low", "_high")
    return {
        "wavenumber": shells.wavenumber[shown],
        "energy_containing": reference.energy_containing[:, shown].astype(np.int8),
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


def describe_generated(
    truth: ThinnedTruth,
    made: Mapping[str, NDArray[np.floating]],
    how: Mapping[str, Any],
    experiment: Experiment,
    diffusion: str,
) -> xr.Dataset:
    """All that is known of the states `made` (member, frame, channel, *grid) by the diffusion model, by kind.

    `how` holds level, noise and evaluations of every kind.
    """

    def rng(purpose: str) -> np.random.Generator:
        keys = () if purpose == "truth" else (diffusion,)
        return stream(experiment.seed, "samples", purpose, *keys)

    channel = np.array([str(name) for name in truth.states["channel"].to_numpy()])
    numbers = {"channel": channel, **how, **compared(truth, made, experiment.diagnostics, rng)}
    attributes = {
        "title": "States that a diffusion model made against held-out truth",
        "experiment": experiment.name,
        "diffusion": diffusion,
        "states": truth.origins.shape[0] * truth.origins.shape[1],
        "block_states": truth.block,
        "confidence": experiment.diagnostics.confidence,
    }
    return dataset_of(VARIABLES, COORDINATES, numbers, units_of(truth.states, truth.reference.invariants), attributes)

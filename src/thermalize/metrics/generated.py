"""States that a diffusion model made against held-out truth, as one CF dataset.

States that a diffusion model made against held-out truth: spectra, densities, and distances with floors.

The rod is that of the rollouts (study.py): the same shells, standard and halves. Both halves of the truth are thinned
to n states, evenly spread over members and time. Those of the floor half are the origins of what the model makes from
truth; everything is compared with those of the reference half, at equal sample size, and so are the origins themselves.

Generated states compared with held-out truth, as one CF dataset; the stage that makes the states writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig, Experiment
from thermalize.metrics.attributes import COORDINATES, DISTANCES, ENDS, SUFFIXES, VARIABLES, Entry, described
from thermalize.metrics.dataset import units_of
from thermalize.metrics.distances import Comparison, compare
from thermalize.metrics.distributions import density, truth_edges, wasserstein
from thermalize.metrics.samples import Piece, Sample, collect, joined
from thermalize.metrics.spectra import log_spectral_distance
from thermalize.metrics.study import Truth, measure_truth
from thermalize.runtime.streams import stream

__all__ = ["Yardstick", "compared", "describe_generated", "yardstick"]

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


STD = "in standard deviations of the data"
KINDS = (
    "unconditional: from pure noise; partial: true states, noised and denoised; thermalized: the same at a low level"
)
OWN: dict[str, Entry] = {
    "kind": (("kind",), KINDS, ""),
    "level": (("kind",), "noise level from which the states were denoised", "1"),
    "noise": (("kind",), f"standard deviation of the noise at that level, {STD}", "1"),
    "evaluations": (("kind",), "network evaluations per state", "1"),
    "field_pdf_samples": (("kind", "bin"), "probability density of field values of the states", "1"),
    **{
        f"spectrum_samples{end}": (("kind", "channel", "shell"), f"variance spectrum of the states{more}", "{variance}")
        for end, more in {"": ", sum over the shell", **ENDS}.items()
    },
}
MEASURED = [name for name in DISTANCES if name != "wasserstein_increment"]
DISTANCE_NAMES = [
    *(name + end for name in MEASURED for end in SUFFIXES),
    *(f"log_spectral_distance_tail{end}" for end in ("", "_floor")),
]
SHARED = ["channel", "wavenumber", "field_bin", "truth_mean", "truth_std", "energy_containing", "field_pdf_truth"]
TABLE: dict[str, Entry] = {
    **{name: (COORDINATES | VARIABLES)[name] for name in (*SHARED, *(f"spectrum_truth{end}" for end in ("", *ENDS)))},
    **OWN,
    **{name: (("kind",), *VARIABLES[name][1:]) for name in DISTANCE_NAMES},
    **{f"{name}_origins": ((), f"{DISTANCES[name]}: of true states that were not touched", "1") for name in MEASURED},
}
EVERY_COORDINATE = ("kind", "channel", "wavenumber", "field_bin")


def describe_generated(
    stick: Yardstick,
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

    field = stick.thinned
    channel = np.array([str(name) for name in field["channel"].to_numpy()])
    numbers = {"channel": channel, **how, **compared(stick, made, experiment.diagnostics, rng)}
    units = units_of(field, stick.rod.invariants)

    def entry(name: str) -> tuple[tuple[str, ...], Any, dict[str, str]]:
        return TABLE[name][0], numbers[name], described(name, TABLE, units)

    return xr.Dataset(
        {name: entry(name) for name in TABLE if name not in EVERY_COORDINATE},
        {name: entry(name) for name in EVERY_COORDINATE},
        {
            "Conventions": "CF-1.11",
            "title": "States that a diffusion model made against held-out truth",
            "experiment": experiment.name,
            "diffusion": diffusion,
            "states": stick.origins.shape[0] * stick.origins.shape[1],
            "block_states": stick.block,
            "confidence": experiment.diagnostics.confidence,
        },
    )

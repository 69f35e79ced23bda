"""Distances to the reference half of the truth, each with its interval, its noise floor and the floor's interval.

The truth is dealt at random into a reference half and another of the rollout's sample size, many times over. The floor
is the median distance between them, its interval where most of these distances fall: a rollout whose distance lies in
it is as good as truth. One deal alone may be off by a factor of two to either side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig
from thermalize.metrics.distributions import block_counts, common_edges, wasserstein, wasserstein_from_counts
from thermalize.metrics.samples import Sample
from thermalize.metrics.spectra import log_spectral_distance
from thermalize.metrics.statistics import bootstrap_weights, interval, recentred, resplit_weights

__all__ = ["Comparison", "Distance", "compare"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Distance:
    """A distance with its interval, and its noise floor with the interval of that."""

    value: float
    low: float
    high: float
    floor: float
    floor_low: float
    floor_high: float

    def named(self, name: str) -> dict[str, float]:
        """`name`, `name_low`, …, `name_floor_high`."""
        return {name if f.name == "value" else f"{name}_{f.name}": getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Comparison:
    """Samples and how their blocks are weighted in every draw; halves are dealt from `pool`, all of the truth."""

    reference: Sample
    rollout: Sample
    pool: Sample
    reference_draws: Array  # (draw, block of the reference)
    rollout_draws: Array  # (draw, block of the rollout)
    dealt_reference: Array  # (draw, block of the pool)
    dealt_floor: Array  # (draw, block of the pool)
    confidence: float

    def spectrum_interval(self, name: str, rollout: bool) -> tuple[Array, Array]:
        """Percentile interval of the mean of the spectrum of that name, of the rollout or of the reference.

        Each end is (channel, shell).
        """
        sample, draws = (self.rollout, self.rollout_draws) if rollout else (self.reference, self.reference_draws)
        return interval(drawn_spectra(sample, draws, name), self.confidence)

    def spectral(self, shells: Flags, resolution: float | Array) -> Distance:
        """Log-spectral distance over the chosen shells (channel, shell)."""

        def distance(spectrum: Array, reference: Array) -> Array:
            return log_spectral_distance(spectrum, reference, shells, resolution)

        truth = self.reference.mean_spectrum
        return self._with_intervals(
            float(distance(self.rollout.mean_spectrum, truth)),
            distance(
                drawn_spectra(self.rollout, self.rollout_draws), drawn_spectra(self.reference, self.reference_draws)
            ),
            distance(drawn_spectra(self.pool, self.dealt_floor), drawn_spectra(self.pool, self.dealt_reference)),
        )

    def spectral_distances(self, containing: Flags, tail: Flags, resolution: Array) -> dict[str, float]:
        """Over the energy-containing shells (channel, shell) with interval and floor, over the tail with the floor."""
        beyond = self.spectral(tail, resolution)
        return {
            **self.spectral(containing, resolution).named("log_spectral_distance"),
            "log_spectral_distance_tail": beyond.value,
            "log_spectral_distance_tail_floor": beyond.floor,
        }

    def wasserstein(self, name: str) -> Distance:
        """W₁ of the values called `name` in the samples: field or increment."""
        values = {s: getattr(getattr(self, s), name) for s in ("reference", "rollout", "pool")}
        edges = common_edges(list(values.values()))

        def counts(sample: Sample, draws: Array) -> Array:
            blocks = block_counts(getattr(sample, name), getattr(sample, f"{name}_block"), sample.frames.size, edges)
            return draws @ blocks  # whole numbers: exact in any order of summation

        return self._with_intervals(
            wasserstein(values["rollout"], values["reference"]),
            wasserstein_from_counts(
                counts(self.rollout, self.rollout_draws), counts(self.reference, self.reference_draws), edges
            ),
            wasserstein_from_counts(
                counts(self.pool, self.dealt_floor), counts(self.pool, self.dealt_reference), edges
            ),
        )

    def _with_intervals(self, value: float, draws: Array, floor_draws: Array) -> Distance:
        low, high = recentred(value, draws, self.confidence)
        floor_low, floor_high = interval(floor_draws, self.confidence)
        floor, _ = interval(floor_draws, 0.0)
        return Distance(value, low, high, float(floor), float(floor_low), float(floor_high))


def compare(
    reference: Sample,
    rollout: Sample,
    pool: Sample,
    floor_members: int,
    floor_blocks: int,
    config: DiagnosticsConfig,
    truth_rng: np.random.Generator,
    rollout_rng: np.random.Generator,
) -> Comparison:
    """Draw all weights.

    Args:
        reference: the reference half of the truth.
        rollout: what is compared with it.
        pool: both halves of the truth, from which floors are dealt.
        floor_members: members of the floor half that make a sample as large as the rollout's.
        floor_blocks: blocks of each of them.
        config: number of draws, and confidence of intervals.
        truth_rng: draws of the truth alone; where every rollout has the same, all see the same floor.
        rollout_rng: draws of the rollout.
    """
    sizes, resamples = (np.unique(reference.member).size, floor_members), config.resamples
    reference_draws = bootstrap_weights(reference.member, resamples, truth_rng)
    dealt = resplit_weights(pool.member, pool.rank, sizes, floor_blocks, resamples, truth_rng)
    rollout_draws = bootstrap_weights(rollout.member, resamples, rollout_rng)
    return Comparison(
        reference=reference,
        rollout=rollout,
        pool=pool,
        reference_draws=reference_draws,
        rollout_draws=rollout_draws,
        dealt_reference=dealt[0],
        dealt_floor=dealt[1],
        confidence=config.confidence,
    )


def drawn_spectra(sample: Sample, draws: Array, name: str = "spectrum") -> Array:
    """Mean spectrum of every draw: (draw, block) → (draw, channel, shell); NaN for an empty sample."""
    with np.errstate(invalid="ignore"):
        frames = np.einsum("rb,b->r", draws, sample.frames)
        return np.einsum("rb,bck->rck", draws, getattr(sample, name)) / frames[:, None, None]

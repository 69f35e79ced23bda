"""The sections of the diagnostics dataset: each takes the measured truth and rollout and returns named numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from thermalize.config import DiagnosticsConfig
from thermalize.metrics.distances import compare
from thermalize.metrics.distributions import density, truth_edges, wasserstein
from thermalize.metrics.dynamics import autocorrelation, correlation, correlation_time, integral_time, slow_fluctuations
from thermalize.metrics.samples import Sample, collect, final_pieces, joined
from thermalize.metrics.spectra import log_spectral_distance
from thermalize.metrics.stability import horizon
from thermalize.metrics.statistics import interval, kaplan_meier, mean_weights, resampled_means
from thermalize.metrics.study import Rollout, Truth

__all__ = ["correlations", "densities", "distances", "memory", "stability", "windows"]

Numbers = dict[str, Any]

VALUES_PER_WINDOW = 200_000


def distances(
    rod: Truth,
    run: Rollout,
    config: DiagnosticsConfig,
    truth_rng: np.random.Generator,
    rollout_rng: np.random.Generator,
) -> Numbers:
    """Spectra up to the dealiasing limit without the mean, and the distances with intervals and floors."""
    samples = {
        "reference": rod.reference,
        "floor": rod.sample(rod.floor_half[: len(run.members)], run.frames),
        "rollout": run.sample,
        "pool": joined([rod.reference, rod.sample(rod.floor_half, rod.field.shape[1])]),
    }
    blocks = -(-run.frames // rod.block)
    comparison = compare(samples, blocks, config.resamples, config.confidence, truth_rng, rollout_rng)
    shown = slice(1, rod.invariants.shells.limit + 1)
    result: Numbers = {
        "wavenumber": rod.invariants.shells.wavenumber[shown],
        "energy_containing": rod.energy_containing[:, shown].astype(np.int8),
    }
    for kind in ("spectrum", "energy_spectrum") if rod.invariants.kinetic is not None else ("spectrum",):
        for name, sample in (("truth", rod.reference), ("rollout", run.sample)):
            ends = comparison.spectrum_interval(kind, rollout=name == "rollout")
            for end, values in zip(("", "_low", "_high"), (sample.mean(kind), *ends), strict=True):
                result[f"{kind}_{name}{end}"] = values[:, shown]
    tail = comparison.spectral(rod.tail, rod.resolution)
    return {
        **result,
        **comparison.spectral(rod.energy_containing, rod.resolution).named("log_spectral_distance"),
        "log_spectral_distance_tail": tail.value,
        "log_spectral_distance_tail_floor": tail.floor,
        **comparison.wasserstein("field").named("wasserstein_field"),
        **comparison.wasserstein("increment").named("wasserstein_increment"),
    }


def windows(rod: Truth, run: Rollout) -> Numbers:
    """The distances in consecutive windows of the sample's length, over members still finite; NaN where none is."""
    starts = np.arange(1, run.field.shape[1] - run.frames + 1, run.frames)
    spectral, values = [], []
    truth = rod.reference.mean_spectrum
    for start in starts.tolist():
        last = np.minimum(run.last_finite, start + run.frames - 1)
        pieces = final_pieces(run.members, last.tolist(), run.frames, first=start)
        sample = collect(run.field, pieces, rod.invariants, rod.standard, run.frames, VALUES_PER_WINDOW)
        spectral.append(log_spectral_distance(sample.mean_spectrum, truth, rod.energy_containing, rod.resolution))
        values.append(wasserstein(sample.field, rod.reference.field))
    return {
        "window_start": starts,
        "log_spectral_distance_window": np.array(spectral, dtype=np.float64),
        "wasserstein_field_window": np.array(values),
    }


def stability(rod: Truth, run: Rollout, lost_step: NDArray[np.integer[Any]], confidence: float) -> Numbers:
    """Horizons, their causes and survival, and the same judgement of the held-out half of the truth."""
    judged = horizon(run.series, rod.envelope, lost_step)
    curve = kaplan_meier(judged.step, judged.observed, confidence)
    median, low, high = curve.median
    return {
        "stable_horizon": judged.step,
        "horizon_observed": judged.observed,
        "horizon_cause": judged.cause,
        "event_step": curve.step,
        "survival": curve.survival,
        "survival_low": curve.low,
        "survival_high": curve.high,
        "stable_horizon_median": median,
        "stable_horizon_low": low,
        "stable_horizon_high": high,
        "stable_fraction": float(np.mean(judged.observed == 0)),
        "truth_stable_fraction": float(np.mean(rod.held_out.observed == 0)),
    }


def correlations(rod: Truth, run: Rollout, config: DiagnosticsConfig, rng: np.random.Generator) -> Numbers:
    """Per member, and the mean over the members whose truth lasts, with members resampled."""
    values = correlation(rod.field, run.field, run.starts, run.last_finite.tolist(), rod.standard.std)
    draws = mean_weights(len(run.starts), config.resamples, rng)
    low, high = interval(resampled_means(values, draws), config.confidence)
    return {
        "correlation_threshold": np.array(config.correlation_thresholds),
        "correlation_time": correlation_time(values, config.correlation_thresholds),
        "lead": np.arange(values.shape[1]),
        "correlation": np.nanmean(values, axis=0),
        "correlation_low": low,
        "correlation_high": high,
    }


def densities(truth: Sample, rollout: Sample, bins: int) -> Numbers:
    """Probability densities of field values and of increments on bins that the truth fixes."""
    result: Numbers = {}
    for name in ("field", "increment"):
        edges = truth_edges(getattr(truth, name), bins)
        result[f"{name}_bin"] = 0.5 * (edges[:-1] + edges[1:])
        result[f"{name}_pdf_truth"] = density(getattr(truth, name), edges)
        result[f"{name}_pdf_rollout"] = density(getattr(rollout, name), edges)
    return result


def memory(rod: Truth, run: Rollout) -> Numbers:
    """Autocorrelation in time and its integral; slow fluctuations, of which all of the truth shows few."""
    reference, held_out = (rod.series.select(half).bands for half in (rod.reference_half, rod.floor_half))
    rollout = autocorrelation(run.field, run.pieces, rod.standard, rod.autocorrelation.size - 1)
    return {
        "lag": np.arange(rod.autocorrelation.size),
        "autocorrelation_truth": rod.autocorrelation,
        "autocorrelation_rollout": rollout,
        "integral_time_truth": integral_time(rod.autocorrelation),
        "integral_time_rollout": integral_time(rollout),
        "slow_fluctuations": slow_fluctuations(run.series.bands[:, 1:], rod.series.bands, rod.block),
        "slow_fluctuations_floor": slow_fluctuations(held_out, reference, rod.block),
    }

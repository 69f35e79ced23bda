"""Probability densities and W₁(P, Q) = ∫ |F_P(x) − F_Q(x)| dx of one-point values.

Values come standardised by the truth, so W₁ is in standard deviations of the truth. Turbulent samples are
autocorrelated: these are distances with noise floors, never tests with p-values. The bootstrap needs W₁ a thousand
times; it integrates |F_P − F_Q| over fine common edges from counts per block, which resampling only adds up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

__all__ = ["block_counts", "common_edges", "density", "truth_edges", "wasserstein", "wasserstein_from_counts"]

Array = NDArray[np.float64]


def wasserstein(values: Array, reference: Array) -> float:
    """W₁ between two samples, exact (`scipy.stats.wasserstein_distance`); NaN where one of them is empty."""
    if values.size == 0 or reference.size == 0:
        return float("nan")
    return float(wasserstein_distance(values, reference))


def truth_edges(values: Array, bins: int) -> Array:
    """Equal bins over the truth's range and a tenth of it more on either side, (bins + 1,)."""
    low, high = float(values.min()), float(values.max())
    margin = 0.1 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, bins + 1)


def density(values: Array, edges: Array) -> Array:
    """Share of values per unit of x in every bin, (bin,); what lies outside the edges is missing from the integral.

    NaN for an empty sample.
    """
    if values.size == 0:
        return np.full(edges.size - 1, np.nan)
    return np.histogram(values, edges)[0] / (values.size * np.diff(edges))


def common_edges(samples: list[Array], bins: int = 1024) -> Array:
    """Quantiles of each sample, merged: fine where the values are, and wide enough for every value."""
    levels = np.linspace(0.0, 1.0, bins + 1)
    edges = np.unique(np.concatenate([np.quantile(sample, levels) for sample in samples if sample.size]))
    return edges if edges.size > 1 else edges[0] + np.array([-0.5, 0.5])


def block_counts(values: Array, block: NDArray[np.integer[Any]], blocks: int, edges: Array) -> Array:
    """Counts of every block's values between the edges: (value,) with block numbers (value,) → (block, bin)."""
    bins = edges.size - 1
    where = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    return np.bincount(block * bins + where, minlength=blocks * bins).reshape(blocks, bins).astype(np.float64)


def wasserstein_from_counts(counts: Array, reference: Array, edges: Array) -> Array:
    """W₁ with values spread evenly inside each bin: (draw, bin) × (draw, bin) → (draw,); NaN for an empty draw."""
    with np.errstate(invalid="ignore"):
        difference = [np.cumsum(c, axis=-1) / c.sum(axis=-1, keepdims=True) for c in (counts, reference)]
    gap = np.abs(difference[0] - difference[1])
    middle = 0.5 * (np.concatenate([np.zeros_like(gap[:, :1]), gap[:, :-1]], axis=-1) + gap)
    return np.asarray((middle * np.diff(edges)).sum(axis=-1))

"""Slow fluctuations of the spectrum: how much of the truth's slow variability a rollout has.

Spectra and distributions pool over time, so that a rollout whose bands are held at their mean looks perfect. Here

    s_b = std over members and windows of ln ⟨E_b⟩_window,      ratio = exp mean_b ln(s_b / s_b of the truth)

with E_b the variance of a band of energy-containing shells and windows of some integral times, one after another. The
ratio is 1 for truth, below 1 where fluctuations are damped, and above 1 where members drift apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["slow_fluctuations"]

Array = NDArray[np.float64]

LEAST_WINDOWS = 2


def slow_fluctuations(bands: Array, truth: Array, window: int) -> float:
    """Ratio of the slow fluctuations of (member, time, band) to those of the truth; NaN with less than two windows.

    Only windows whose frames are all finite count.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(_spread(bands, window) / _spread(truth, window))
    return float(np.exp(ratios.mean()))


def _spread(bands: Array, window: int) -> Array:
    """s_b, (band,)."""
    count = bands.shape[1] // window
    whole = bands[:, bands.shape[1] - count * window :]
    means = whole.reshape(-1, window, bands.shape[2]).mean(axis=1)
    kept = means[np.isfinite(means).all(axis=1)]
    if len(kept) < LEAST_WINDOWS:
        return np.full(bands.shape[2], np.nan)
    return np.asarray(np.log(kept).std(axis=0, ddof=1))

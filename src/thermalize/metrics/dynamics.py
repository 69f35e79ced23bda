"""Dynamics beside spectra: slow fluctuations, correlation in time, how long a forecast holds.

Spectra and distributions pool over time, so that a rollout whose bands are held at their mean looks perfect. Here

    s_b = std over members and windows of ln ⟨E_b⟩_window,      ratio = exp mean_b ln(s_b / s_b of the truth)

with E_b the variance of a band of energy-containing shells and windows of some integral times, one after another. The
ratio is 1 for truth, below 1 where fluctuations are damped, and above 1 where members drift apart.

The autocorrelation in time is

    R(l) = ⟨u′(x, t) u′(x, t+l)⟩ / ⟨u′²⟩

at fixed grid points, over all pairs of frames l steps apart, channels standardised; u′ is the departure from the
sample's mean per channel, not per point: a frozen pattern keeps R = 1. Its integral is T = ½ + R(1) + R(2) + …, by the
trapezoidal rule, up to the first zero crossing, or up to the last lag: then a lower bound.

Pearson correlation over space: each channel centred by its own spatial mean, then pooled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from thermalize.metrics.samples import Frames, Span, Standard, read

__all__ = ["autocorrelation", "correlation", "correlation_time", "integral_time", "pearson", "slow_fluctuations"]

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


def autocorrelation(field: Frames, spans: Sequence[Span], standard: Standard, lags: int) -> Array:
    """R(0 … lags) of the spans of a trajectory, (lag,); NaN where no two frames are that far apart."""
    scale = (slice(None),) + (None,) * (field.ndim - 3)
    total = sum(span.stop - span.start for span in spans)
    mean = sum((_sum(read(field, span)) for span in spans), np.zeros(field.shape[2])) / max(1, total)
    departures = ((read(field, span) - mean[scale]) / standard.std[scale] for span in spans)
    return pooled_autocorrelation((u.reshape(u.shape[0], -1) for u in departures), lags)


def _sum(values: Array) -> Array:
    """Mean over space, summed over time: (time, channel, *grid) → (channel,)."""
    return values.mean(axis=tuple(range(2, values.ndim))).sum(axis=0)


def pooled_autocorrelation(series: Iterable[Array], lags: int) -> Array:
    """R(0 … lags) of several blocks of centred time series (time, point), pairs pooled; by FFT, padded, so exact."""
    products, pairs = np.zeros(lags + 1), np.zeros(lags + 1)
    for u in series:
        frames, points = u.shape
        short = min(frames, lags + 1)
        u_hat = rfft(u, next_fast_len(frames + short, real=True), axis=0)
        power = (u_hat.real**2 + u_hat.imag**2).sum(axis=1)
        products[:short] += irfft(power, next_fast_len(frames + short, real=True))[:short]
        pairs[:short] += points * (frames - np.arange(short))
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = products / pairs
        return covariance / covariance[0]


def integral_time(autocorrelation: Array) -> float:
    """T [emulator steps] of R(lag); NaN where R is."""
    known = autocorrelation[np.isfinite(autocorrelation)]
    if known.size == 0:
        return float("nan")
    crossed = known <= 0
    end = int(np.argmax(crossed)) if crossed.any() else known.size
    return float(known[:end].sum() - 0.5 * known[0])


def pearson(u: Array, v: Array, channel_std: Array) -> Array:
    """Pattern correlation of two runs of states, each (time, channel, *grid): (time,); 0 where one has no pattern."""
    space = tuple(range(2, u.ndim))
    scale = (slice(None),) + (None,) * len(space)
    a, b = ((w - w.mean(axis=space, keepdims=True)) / channel_std[scale] for w in (u, v))
    over = (1, *space)
    product, norms = (a * b).sum(axis=over), (a**2).sum(axis=over) * (b**2).sum(axis=over)
    return np.where(norms > 0, product / np.sqrt(np.where(norms > 0, norms, 1.0)), 0.0)


def correlation(
    truth: Frames, block: Array, first: int, starts: Sequence[tuple[int, int]], last: Sequence[int], std: Array
) -> Array:
    """Pearson of every member with the truth it started from, (member, lead); NaN where the truth has ended.

    `block` (member, lead, channel, *grid) holds the leads from `first` on; `starts` are the truth's member and frame of
    each initial condition; `last` is each member's last finite frame, after which a lost member has correlation 0: a
    forecast that is gone has no skill.
    """
    result = np.full(block.shape[:2], np.nan)
    for i, (member, frame) in enumerate(starts):
        known = max(0, min(truth.shape[1] - frame - first, block.shape[1]))
        alive = max(0, min(known, int(last[i]) + 1 - first))
        result[i, :known] = 0.0
        if alive:
            u = read(truth, Span(member, frame + first, frame + first + alive))
            result[i, :alive] = pearson(u, block[i, :alive], std)
    return result


def correlation_time(correlation: Array, thresholds: Sequence[float]) -> NDArray[np.int32]:
    """First lead at which a member's own correlation is below each threshold, (threshold, member) [emulator steps].

    A member that stays above it to the last lead with truth is given that lead.
    """
    last = np.isfinite(correlation).sum(axis=1) - 1
    below = correlation[None] < np.asarray(thresholds)[:, None, None]
    first = np.argmax(below, axis=-1)
    return np.where(below.any(axis=-1), first, last).astype(np.int32)

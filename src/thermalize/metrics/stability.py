"""Stable horizon: the first step at which a member leaves the envelope of the truth, and why.

The envelope is set by the reference half of the test truth. In order of precedence where several meet at one step:

1. nonfinite  the state is not finite, or the rollout recorded the member as lost;
2. energy     outside [q₀.₀₀₁ / 2, 2 q₀.₉₉₉] of the truth's frames (defined in `invariants`);
3. enstrophy  outside the same;
4. spectrum   the variance of any channel in any band of its energy-containing shells, averaged over the trailing
              window, outside [q₀.₀₀₁ / 10, 3 q₀.₉₉₉] of the truth's windows;
5. frozen     the increment's rms in any channel below a small fraction of the truth's median, for so many steps in a
              row.

The bare quantiles would fire on one frame of truth in five hundred by construction, hence the margins. A band holds few
modes, and turbulence has calm spells, near-periodic states with ten times less variance at large scales that last for a
hundred frames and that a short truth does not show: hence the wider margins of the bands, widest below. In decades, a
band's distance from the truth must exceed the truth's own 99.9 % level by log₁₀ 3 above and by 1 below.

Windows and runs are dated at their end, when they are complete: the criteria are causal. The first state (the initial
condition) is not judged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from thermalize.metrics.series import Series
from thermalize.metrics.spectra import Band

__all__ = ["CAUSES", "Envelope", "Horizon", "envelope", "horizon"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CAUSES = ("stable", "nonfinite", "energy", "enstrophy", "spectrum", "frozen")
"""Flag 0, 1, … of `Horizon.cause`; energy and enstrophy go by the names of the `Invariants`."""

TAIL = 0.001
MARGIN = (2.0, 2.0)
BAND_MARGIN = (10.0, 3.0)
"""Factors below and above the quantiles."""


@dataclass(frozen=True)
class Envelope:
    """Thresholds of the truth: lowest and highest values inside; of the spectrum by band, of increments by channel."""

    energy: tuple[float, float]
    enstrophy: tuple[float, float]
    spectrum: tuple[tuple[float, float], ...]
    spectrum_bands: tuple[Band, ...]
    spectrum_window: int
    increment: tuple[float, ...]
    frozen_steps: int

    def to_json(self) -> str:
        """The thresholds with their names."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Envelope:
        """What `to_json` gave; a ValueError, KeyError or TypeError where it cannot have."""
        values = json.loads(text)
        return cls(
            energy=_pair(values["energy"]),
            enstrophy=_pair(values["enstrophy"]),
            spectrum=tuple(_pair(limits) for limits in values["spectrum"]),
            spectrum_bands=tuple(Band(*band) for band in values["spectrum_bands"]),
            spectrum_window=values["spectrum_window"],
            increment=tuple(values["increment"]),
            frozen_steps=values["frozen_steps"],
        )


@dataclass(frozen=True)
class Horizon:
    """Per member: `step` [emulator steps] of leaving, or the length of the rollout where `observed` is 0."""

    step: NDArray[np.int32]
    observed: NDArray[np.int8]
    cause: NDArray[np.int8]


def envelope(truth: Series, bands: Sequence[Band], window: int, frozen_fraction: float, frozen_steps: int) -> Envelope:
    """Thresholds from the reference half of the truth; the window is at most half of the truth's length."""
    window = max(1, min(window, truth.energy.shape[1] // 2))
    means = trailing_mean(truth.bands, window)
    return Envelope(
        energy=_limits(truth.energy, MARGIN),
        enstrophy=_limits(truth.enstrophy, MARGIN),
        spectrum=tuple(_limits(means[..., i], BAND_MARGIN) for i in range(len(bands))),
        spectrum_bands=tuple(bands),
        spectrum_window=window,
        increment=tuple((frozen_fraction * np.median(truth.increment[:, 1:], axis=(0, 1))).tolist()),
        frozen_steps=frozen_steps,
    )


def _pair(limits: Sequence[float]) -> tuple[float, float]:
    low, high = limits
    return float(low), float(high)


def _limits(values: Array, margin: tuple[float, float]) -> tuple[float, float]:
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    return float(low / margin[0]), float(high * margin[1])


def trailing_mean(bands: Array, window: int) -> Array:
    """Means over windows, by the frame that ends them: (member, time, band) → (member, time − window + 1, band)."""
    return np.stack([sliding_window_view(one, window, axis=0).mean(axis=-1) for one in bands])


def horizon(rollout: Series, limits: Envelope, lost_step: NDArray[np.integer[Any]]) -> Horizon:
    """Judge frames 1, 2, … of every member; `lost_step` (member,) is the recorded loss, −1 where there is none."""
    members, frames = rollout.energy.shape
    steps = frames - 1
    first = np.full((members, len(CAUSES)), steps + 1)
    first[:, 1] = _first(~np.isfinite(rollout.energy[:, 1:]), steps)
    first[:, 1] = np.where(lost_step >= 0, np.minimum(first[:, 1], lost_step), first[:, 1])
    first[:, 2] = _first(_outside(rollout.energy[:, 1:], limits.energy), steps)
    first[:, 3] = _first(_outside(rollout.enstrophy[:, 1:], limits.enstrophy), steps)
    first[:, 4] = _first(_off_spectrum(rollout, limits), steps)
    first[:, 5] = _first(_frozen(rollout, limits), steps)
    step = first.min(axis=1)
    observed = step <= steps
    return Horizon(
        step=np.minimum(step, steps).astype(np.int32),
        observed=observed.astype(np.int8),
        cause=np.where(observed, first.argmin(axis=1), 0).astype(np.int8),
    )


def _first(bad: Flags, steps: int) -> NDArray[np.int64]:
    """Step of the first True of the last `bad.shape[1]` steps, (member,); steps + 1 where there is none."""
    if bad.shape[1] == 0:
        return np.full(bad.shape[0], steps + 1)
    return np.where(bad.any(axis=1), np.argmax(bad, axis=1) + 1 + steps - bad.shape[1], steps + 1)


def _outside(values: Array, limits: tuple[float, float]) -> Flags:
    return (values < limits[0]) | (values > limits[1])


def _off_spectrum(rollout: Series, limits: Envelope) -> Flags:
    bands = rollout.bands[:, 1:]
    if bands.shape[1] < limits.spectrum_window:
        return np.zeros((bands.shape[0], 0), dtype=np.bool_)
    low, high = np.array(limits.spectrum).reshape(-1, 2).T
    mean = trailing_mean(bands, limits.spectrum_window)
    return np.asarray(((mean < low) | (mean > high)).any(axis=-1))


def _frozen(rollout: Series, limits: Envelope) -> Flags:
    still = rollout.increment[:, 1:] < limits.increment
    if still.shape[1] < limits.frozen_steps:
        return np.zeros((still.shape[0], 0), dtype=np.bool_)
    return np.asarray(sliding_window_view(still, limits.frozen_steps, axis=1).all(axis=-1).any(axis=-1))

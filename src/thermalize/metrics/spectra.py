"""Shell spectra: S(n) = Σ_{n−½ ≤ |k|/k₀ < n+½} |û(k)|², so that Σₙ S(n) = ⟨u²⟩ exactly.

û(k) = N^{-d} Σ_x u(x) e^{−ik·x}; k₀ is the fundamental wavenumber 2π/L of the longest side. Shells are *sums* of bin
width k₀, corners included, and the half spectrum of a real transform is weighted 1 on the planes that are their own
mirror image (index 0 and, for even N, N/2 of the last axis) and 2 elsewhere: Parseval holds to round-off for odd and
even N in one and two dimensions. Every channel has its own spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfftn
from scipy.sparse import csr_array

__all__ = ["Band", "Shells", "energy_containing", "log_spectral_distance", "octave_bands"]

Array = NDArray[np.float64]


class Band(NamedTuple):
    """First and last shell of a band in the spectrum of a channel."""

    channel: int
    first: int
    last: int


@dataclass(frozen=True)
class Shells:
    """The shells of a periodic grid of the given numbers of points (y, x or x alone) and side lengths."""

    shape: tuple[int, ...]
    lengths: tuple[float, ...]

    @property
    def fundamental(self) -> float:
        """k₀ = 2π / longest side [rad per length unit]."""
        return 2 * np.pi / max(self.lengths)

    @property
    def limit(self) -> int:
        """Last shell that the 2/3 rule keeps whole: ⌊(N−1)/3⌋ along the axis where that is the smallest wavenumber."""
        sides = zip(self.shape, self.lengths, strict=True)
        return int(min((n - 1) // 3 * max(self.lengths) / length + 1e-9 for n, length in sides))

    @property
    def wavenumber(self) -> Array:
        """Centre of every shell [rad per length unit], (shell,)."""
        return self.fundamental * np.arange(self._sum.shape[1])

    @cached_property
    def k_squared(self) -> Array:
        """|k|² of every mode of the half spectrum, (mode,)."""
        *full, last = zip(self.shape, self.lengths, strict=True)
        axes = [np.fft.fftfreq(n, 1 / n) * 2 * np.pi / length for n, length in full]
        axes.append(np.fft.rfftfreq(last[0], 1 / last[0]) * 2 * np.pi / last[1])
        total = sum(k**2 for k in np.meshgrid(*axes, indexing="ij"))
        return np.asarray(total, dtype=np.float64).ravel()

    @cached_property
    def _weight(self) -> Array:
        """Parseval weight over N^{2d} of every mode, (mode,)."""
        n = self.shape[-1]
        last = np.full(n // 2 + 1, 2.0)
        last[0] = 1.0
        if n % 2 == 0:
            last[-1] = 1.0
        return np.broadcast_to(last, (*self.shape[:-1], last.size)).ravel() / float(np.prod(self.shape)) ** 2

    @cached_property
    def _sum(self) -> csr_array:
        """Matrix that sums the weighted modes of every shell, (mode, shell)."""
        shell = np.floor(np.sqrt(self.k_squared) / self.fundamental + 0.5).astype(np.int64)
        return csr_array((self._weight, (np.arange(shell.size), shell)))

    def modes(self, u: NDArray[np.floating]) -> NDArray[np.complex128]:
        """N^d û of every mode, k = 0 first: (…, channel, *grid) → (…, channel, mode)."""
        axes = tuple(range(-len(self.shape), 0))
        with np.errstate(invalid="ignore", over="ignore"):
            u_hat = rfftn(np.asarray(u, dtype=np.float64), axes=axes)
        return np.asarray(u_hat.reshape(*u_hat.shape[: -len(axes)], self._weight.size))

    def sum(self, power: Array) -> Array:
        """Spectrum from |N^d û|²: (…, mode) → (…, shell)."""
        flat = power.reshape(-1, power.shape[-1])
        return np.asarray(flat @ self._sum).reshape(*power.shape[:-1], self._sum.shape[1])

    def spectrum(self, u: NDArray[np.floating]) -> Array:
        """Variance spectrum of fields: (…, channel, *grid) → (…, channel, shell), in squared units of u."""
        u_hat = self.modes(u)
        return self.sum(u_hat.real**2 + u_hat.imag**2)

    def total(self, power: Array, form: Array) -> Array:
        """Σ_c Σ_k A_c(k) P_c(k) of P from |N^d û|² or products like it: (…, c, mode) × (c, mode) → (…,)."""
        return np.einsum("...cm,cm->...", power, self._weight * form)


def energy_containing(spectrum: Array, fraction: float, limit: int) -> NDArray[np.bool_]:
    """Shells 1 … K of (…, shell), with K the first at which Σ_{n=1}^K S(n) reaches `fraction` of S without the mean.

    Shell 0 is the mean, which many systems conserve, and never belongs. K is at most the dealiasing `limit`; where
    nothing varies there are no such shells.
    """
    total = spectrum[..., 1:].sum(axis=-1, keepdims=True)
    share = np.cumsum(spectrum[..., 1:], axis=-1) / np.where(total > 0, total, 1.0)
    last = np.minimum(np.argmax(share >= fraction, axis=-1) + 1, limit)[..., None]
    shell = np.arange(spectrum.shape[-1])
    return np.asarray((shell >= 1) & (shell <= last) & (total > 0))


def octave_bands(last: int) -> list[tuple[int, int]]:
    """First and last shell of the bands 1–3, 4–7, 8–15, … up to `last`.

    The first two octaves are one band: a mean over a short window of the very few modes there is too noisy to watch.
    """
    edges = [1, *(2**power for power in range(2, 64) if 2**power <= last), last + 1]
    return [(a, b - 1) for a, b in pairwise(edges)]


def log_spectral_distance(
    spectrum: Array, reference: Array, shells: NDArray[np.bool_], resolution: float | Array = 0.0
) -> Array:
    """√mean (log₁₀ S(k)/S_ref(k))² over the chosen shells of all channels: (…, channel, shell) twice → (…,).

    `shells` (channel, shell) are those that count; NaN where there are none. Both spectra are raised to `resolution`
    (channel, 1) first, below which stored numbers carry nothing.
    """
    if not shells.any():
        return np.full(np.broadcast_shapes(spectrum.shape, reference.shape)[: -shells.ndim], np.nan)
    tiny = np.maximum(resolution, np.finfo(np.float64).tiny)
    ratio = np.log10(np.maximum(spectrum, tiny)[..., shells] / np.maximum(reference, tiny)[..., shells])
    return np.asarray(np.sqrt(np.mean(ratio**2, axis=-1)))

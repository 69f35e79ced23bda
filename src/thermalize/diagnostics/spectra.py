"""Shell spectra: S(n) = Σ_{n−½ ≤ |k|/k₀ < n+½} |û(k)|², so that Σₙ S(n) = ⟨u²⟩ exactly.

û(k) = N^{-d} Σ_x u(x) e^{−ik·x}; k₀ is the fundamental wavenumber 2π/L of the longest side. Shells are *sums* of bin
width k₀, corners included, and the half spectrum of a real transform is weighted 1 on the planes that are their own
mirror image (index 0 and, for even N, N/2 of the last axis) and 2 elsewhere: Parseval holds to round-off for odd and
even N in one and two dimensions. Channels are summed in physical units, as the energy of a vector's components is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfftn
from scipy.sparse import csr_array

__all__ = ["Shells", "energy_containing", "log_spectral_distance", "octave_bands"]

Array = NDArray[np.float64]


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

    def power(self, u: NDArray[np.floating]) -> Array:
        """Σ_channels |N^d û|² of every mode: (…, channel, *grid) → (…, mode)."""
        axes = tuple(range(-len(self.shape), 0))
        with np.errstate(invalid="ignore", over="ignore"):
            u_hat = rfftn(np.asarray(u, dtype=np.float64), axes=axes)
            modal = (u_hat.real**2 + u_hat.imag**2).sum(axis=axes[0] - 1)
        return modal.reshape(*modal.shape[: -len(axes)], -1)

    def sum(self, power: Array) -> Array:
        """Variance spectrum from `power`: (…, mode) → (…, shell)."""
        flat = power.reshape(-1, power.shape[-1])
        return np.asarray(flat @ self._sum).reshape(*power.shape[:-1], -1)

    def spectrum(self, u: NDArray[np.floating]) -> Array:
        """Variance spectrum of fields: (…, channel, *grid) → (…, shell), in squared units of u."""
        return self.sum(self.power(u))

    def gradient_variance(self, power: Array) -> Array:
        """⟨|∇u|²⟩ = Σ |k|² |û|² from `power`: (…, mode) → (…,)."""
        return np.einsum("...m,m->...", power, self._weight * self.k_squared)


def energy_containing(spectrum: Array, fraction: float, limit: int) -> NDArray[np.bool_]:
    """Shells 1 … K, with K the first at which Σ_{n=1}^K S(n) reaches `fraction` of the variance without the mean.

    Shell 0 is the mean, which many systems conserve, and never belongs. K is at most the dealiasing `limit`.
    """
    share = np.cumsum(spectrum[1:]) / spectrum[1:].sum()
    last = min(int(np.argmax(share >= fraction)) + 1, limit)
    shell = np.arange(spectrum.size)
    return (shell >= 1) & (shell <= last)


def octave_bands(last: int) -> list[tuple[int, int]]:
    """First and last shell of the bands 1–3, 4–7, 8–15, … up to `last`.

    The first two octaves are one band: a mean over a short window of the very few modes there is too noisy to watch.
    """
    edges = [1, *(2**power for power in range(2, 64) if 2**power <= last), last + 1]
    return [(a, b - 1) for a, b in pairwise(edges)]


def log_spectral_distance(
    spectrum: Array, reference: Array, shells: NDArray[np.bool_], resolution: float = 0.0
) -> Array:
    """√mean_k (log₁₀ S(k)/S_ref(k))² over the chosen shells: (…, shell) × (…, shell) → (…,); NaN without shells.

    Both spectra are raised to `resolution` first, below which stored numbers carry nothing.
    """
    if not shells.any():
        return np.full(np.broadcast_shapes(spectrum.shape, reference.shape)[:-1], np.nan)
    tiny = max(resolution, np.finfo(np.float64).tiny)
    ratio = np.log10(np.maximum(spectrum[..., shells], tiny) / np.maximum(reference[..., shells], tiny))
    return np.asarray(np.sqrt(np.mean(ratio**2, axis=-1)))

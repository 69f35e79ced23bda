"""Fourier differentiation and de-aliasing on a periodic axis of N (even) points and period L.

    û_n = Σ_j u_j exp(−2πi jn/N),  k_n = 2πn/L,  n = 0 … N/2   (real transform, last axis)

∂x is multiplication by i k_n, except at the Nyquist index N/2: there a real field has no sine part to hold the
derivative of its cosine part, so the derivative is set to zero. A product of two fields is free of aliasing in the
retained indices n ≤ ⌊(N−1)/3⌋ when both factors are cut to them: the sums reach 2⌊(N−1)/3⌋ and alias to
N − 2⌊(N−1)/3⌋ > ⌊(N−1)/3⌋ (the 2/3 rule of Orszag, 1971).
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

__all__ = ["cutoff", "derivative", "grid", "retained", "wavenumbers"]


def grid(points: int, length: float) -> Tensor:
    """x_j = jL/N, float64 [points]."""
    return torch.arange(points, dtype=torch.float64) * (length / points)


def wavenumbers(points: int, length: float) -> Tensor:
    """k_n = 2πn/L of the real transform, float64 [points/2 + 1], radians per length unit."""
    return torch.arange(points // 2 + 1, dtype=torch.float64) * (2 * pi / length)


def derivative(points: int, length: float) -> Tensor:
    """Symbol of ∂x, i k_n with zero at the Nyquist index, complex128 [points/2 + 1]."""
    k = wavenumbers(points, length)
    k[-1] = 0
    return 1j * k


def cutoff(points: int) -> int:
    """Highest index ⌊(N−1)/3⌋ kept by the 2/3 rule."""
    return (points - 1) // 3


def retained(points: int) -> Tensor:
    """True where the 2/3 rule keeps a mode, bool [points/2 + 1]."""
    return torch.arange(points // 2 + 1) <= cutoff(points)

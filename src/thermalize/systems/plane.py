"""A doubly periodic square of side L with N × N points, in Fourier space.

    û(l, k) = Σ u(y, x) exp(−i(ly + kx)),   fields [..., y, x], spectra [..., l, k] with k ≥ 0 (real transform along x)

∂ is zero at the Nyquist indices. Truncation to M < N points keeps the indices below M/2 and scales by (M/N)², so that
the coarse field is the fine one without its short waves, at the coarse points.
"""

from __future__ import annotations

from functools import cached_property
from math import pi

import numpy as np
import torch
from torch import Tensor

from thermalize.systems import spectral

__all__ = ["Plane", "random_spectrum"]


class Plane:
    """Wavenumbers, transforms and truncation; tables are float64 or complex128 on the CPU, [l, k].

    Args:
        points: N, even.
        length: side L.
        stored_points: M ≤ N, even, of `coarse`.
    """

    def __init__(self, points: int, length: float, stored_points: int | None = None) -> None:
        self.points, self.length, self.stored_points = points, length, stored_points or points

    @cached_property
    def k(self) -> Tensor:
        """Wavenumbers along x, [1, N/2 + 1], rad per length unit."""
        return spectral.wavenumbers(self.points, self.length)[None, :]

    @cached_property
    def l(self) -> Tensor:  # noqa: E743
        """Wavenumbers along y, [N, 1], rad per length unit."""
        return torch.fft.fftfreq(self.points, self.length / self.points / (2 * pi), dtype=torch.float64)[:, None]

    @cached_property
    def k2(self) -> Tensor:
        """k² + l² with the Nyquist indices as they are."""
        return self.k**2 + self.l**2

    @cached_property
    def inverse_k2(self) -> Tensor:
        """1/(k² + l²), 0 at the mean."""
        return torch.where(self.k2 > 0, 1 / self.k2.clamp(min=torch.finfo(torch.float64).tiny), 0.0)

    @cached_property
    def dx(self) -> Tensor:
        """Symbol of ∂x, complex128."""
        return spectral.derivative(self.points, self.length)[None, :].expand(self.points, -1)

    @cached_property
    def dy(self) -> Tensor:
        """Symbol of ∂y, complex128."""
        l_odd = self.l.clone()
        l_odd[self.points // 2] = 0
        return (1j * l_odd).expand(-1, self.points // 2 + 1)

    @cached_property
    def retained(self) -> Tensor:
        """True where the 2/3 rule keeps a mode."""
        kept = spectral.retained(self.points)
        rows = torch.fft.fftfreq(self.points, 1 / self.points, dtype=torch.float64).abs() <= spectral.cutoff(
            self.points
        )
        return rows[:, None] & kept[None, :]

    def axes(self) -> dict[str, np.ndarray]:
        """Coordinates of the stored points, in the order of the array axes."""
        x = spectral.grid(self.stored_points, self.length).numpy()
        return {"y": x, "x": x.copy()}

    def to_spectral(self, u: Tensor) -> Tensor:
        """[..., N, N] → [..., N, N/2 + 1]."""
        return torch.fft.rfft2(u)

    def to_physical(self, u_hat: Tensor) -> Tensor:
        """[..., N, N/2 + 1] → [..., N, N]."""
        return torch.fft.irfft2(u_hat, s=(self.points, self.points))

    def coarse(self, u_hat: Tensor) -> Tensor:
        """[..., N, N/2 + 1] → physical field at the stored points, [..., M, M]."""
        m, half = self.stored_points, self.stored_points // 2
        if m == self.points:
            return self.to_physical(u_hat)
        kept = torch.cat([u_hat[..., :half, : half + 1], u_hat[..., -half:, : half + 1]], dim=-2)
        kept[..., half, :] = 0
        kept[..., :, half] = 0
        return torch.fft.irfft2(kept, s=(m, m)) * (m / self.points) ** 2


def random_spectrum(rng: np.random.Generator, points: int, highest: int) -> Tensor:
    """Complex Gaussian noise on the indices |n| ≤ `highest` without the mean, complex128 [N, N/2 + 1].

    The draws do not depend on N, so a finer grid samples the same function (up to the factor N² of the transform).
    """
    draws = torch.view_as_complex(torch.from_numpy(rng.standard_normal((2 * highest + 1, highest + 1, 2))))
    u_hat = torch.zeros(points, points // 2 + 1, dtype=torch.complex128)
    u_hat[: highest + 1, : highest + 1] = draws[: highest + 1]
    u_hat[-highest:, : highest + 1] = draws[highest + 1 :]
    u_hat[0, 0] = 0
    # a real field has û(−l, 0) = conj û(l, 0)
    u_hat[-highest:, 0] = u_hat[1 : highest + 1, 0].conj().flip(0)
    return u_hat * points**2

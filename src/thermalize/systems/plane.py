"""A doubly periodic square of side L with N × N points, in Fourier space.

    û(l, k) = Σ u(y, x) exp(−i(ly + kx)),   fields [..., y, x], spectra [..., l, k] with k ≥ 0 (real transform along x)

∂ is zero at the Nyquist indices. Truncation to M < N points keeps the indices below M/2 and scales by (M/N)², so that
the coarse field is the fine one without its short waves, at the coarse points.

On large grids the time goes into memory traffic. There the transforms of de-aliased fields work on the columns k that
are kept alone, and spectra lie in memory with l innermost: the transform along y runs over neighbours, and one
transposition is left, before the transform along x.
"""

from __future__ import annotations

from functools import cached_property
from math import pi

import numpy as np
import torch
from torch import Tensor

from thermalize.systems import spectral

__all__ = ["Plane", "random_spectrum"]

LARGE_GRID = 128
CONFLICTING_GRID, COLUMNS_TOGETHER = 256, 16
"""From 256 points on, neighbours along k are so far apart that the fastest cache holds about 16 of them at a time."""


class Plane:
    """Wavenumbers, transforms and truncation; tables are float64 or complex128 on the CPU, [l, k].

    Args:
        points: N, even.
        length: side L.
        stored_points: M ≤ N, even, of `coarse`.
        dealiased: whether products are cut by the 2/3 rule.
    """

    def __init__(self, points: int, length: float, stored_points: int | None = None, *, dealiased: bool = True) -> None:
        self.points, self.length, self.stored_points = points, length, stored_points or points
        self.large, self.dealiased = points >= LARGE_GRID, dealiased
        self.columns = spectral.cutoff(points) + 1 if self.large and dealiased else points // 2 + 1
        self._half = torch.empty(0)

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
        return self.in_memory(self.k**2 + self.l**2)

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
        """True where the 2/3 rule keeps a mode; everywhere without de-aliasing."""
        if not self.dealiased:
            return torch.ones(self.points, self.points // 2 + 1, dtype=torch.bool)
        kept = spectral.retained(self.points)
        rows = torch.fft.fftfreq(self.points, 1 / self.points, dtype=torch.float64).abs() <= spectral.cutoff(
            self.points
        )
        return rows[:, None] & kept[None, :]

    def axes(self) -> dict[str, np.ndarray]:
        """Coordinates of the stored points, in the order of the array axes."""
        x = spectral.grid(self.stored_points, self.length).numpy()
        return {"y": x, "x": x.copy()}

    def in_memory(self, table: Tensor) -> Tensor:
        """The same [..., l, k] in the order of memory of this grid's spectra."""
        return table.mT.contiguous().mT if self.large else table.contiguous()

    def to_spectral(self, u: Tensor) -> Tensor:
        """[..., N, N] → [..., N, N/2 + 1]."""
        return torch.fft.fft(torch.fft.rfft(u), dim=-2) if self.large else torch.fft.rfft2(u)

    def to_physical(self, u_hat: Tensor) -> Tensor:
        """[..., N, N/2 + 1] → [..., N, N]."""
        return torch.fft.irfft2(u_hat, s=(self.points, self.points))

    def kept(self, u_hat: Tensor) -> Tensor:
        """The columns that de-aliased fields live on: [..., N, N/2 + 1] → [..., N, columns], a view."""
        return u_hat.narrow(-1, 0, self.columns)

    def whole(self, kept: Tensor) -> Tensor:
        """[..., N, columns] → [..., N, N/2 + 1], zero beyond."""
        rest = self.points // 2 + 1 - self.columns
        return torch.nn.functional.pad(kept.mT, (0, 0, 0, rest)).mT if rest else kept

    def kept_to_spectral(self, u: Tensor) -> Tensor:
        """[..., N, N] → [..., N, columns]."""
        return torch.fft.fft(self.kept(torch.fft.rfft(u)), dim=-2) if self.large else torch.fft.rfft2(u)

    def kept_to_physical(self, kept: Tensor) -> Tensor:
        """[..., N, columns] → [..., N, N]."""
        if not (self.large and self.dealiased):
            return self.to_physical(kept)
        along_y, half = torch.fft.ifft(kept, dim=-2), self._zeros(kept)
        together = COLUMNS_TOGETHER if self.points >= CONFLICTING_GRID else self.columns
        for to, part in zip(self.kept(half).split(together, -1), along_y.split(together, -1), strict=True):
            to.copy_(part)
        return torch.fft.irfft(half, n=self.points)

    def _zeros(self, kept: Tensor) -> Tensor:
        """[..., N, N/2 + 1] with k innermost, zero beyond the columns that every user fills anew."""
        shape = (*kept.shape[:-1], self.points // 2 + 1)
        if self._half.shape != shape or self._half.dtype != kept.dtype or self._half.device != kept.device:
            self._half = kept.new_zeros(shape)
        return self._half

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

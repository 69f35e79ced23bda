"""Kuramoto–Sivashinsky equation, period L, pseudo-spectral in space.

    u_t = −½ (u²)_x − u_xx − u_xxxx
    û_t = (k² − k⁴) û − ½ ik FFT(u²),   k = 2πn/L

Long waves 0 < |k| < 1 grow (at most at rate ¼, for k = 1/√2), short waves are damped, and the product moves energy
between them without changing it: ⟨u (u²)_x⟩ = 0. The mean ⟨u⟩ is conserved, and the equation is invariant under
translations, under the reflection x → −x, u → −u and under Galilean changes of frame. Everything is non-dimensional.

References:
    Kuramoto & Tsuzuki, Prog. Theor. Phys. 55 (1976) 356; Sivashinsky, Acta Astronaut. 4 (1977) 1177.
"""

from __future__ import annotations

from math import ceil, pi

import numpy as np
import torch
from torch import Tensor

from thermalize.config import KuramotoSivashinskyConfig
from thermalize.systems import spectral

__all__ = ["KuramotoSivashinsky", "build"]


class KuramotoSivashinsky:
    """The equation above on N points; û holds N/2 + 1 modes and the product is de-aliased by the 2/3 rule.

    Args:
        config: length L and points N.
        dtype: torch.float64 or torch.float32, the type of physical states.
        device: where states live.
    """

    variable = "velocity"
    long_name = "velocity of the Kuramoto-Sivashinsky equation"
    units = "1"
    length_units, time_units = "length units", "time units"
    channels: tuple[str, ...] = ("u",)
    equation = "u_t = -1/2 (u^2)_x - u_xx - u_xxxx"
    filter: Tensor | None = None
    advective = False

    def __init__(
        self,
        config: KuramotoSivashinskyConfig,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.length, self.points = config.length, config.points
        self.dtype, self.device = dtype, torch.device(device)
        self.axes: dict[str, np.ndarray] = {"x": spectral.grid(self.points, self.length).numpy()}
        self.lengths: tuple[float, ...] = (self.length,)
        k = spectral.wavenumbers(self.points, self.length)
        self.linear = k**2 - k**4
        mask = spectral.retained(self.points)
        self._mask = self._table(mask)
        self._flux = self._table(-0.5 * spectral.derivative(self.points, self.length) * mask)

    def _table(self, symbol: Tensor) -> Tensor:
        return symbol.to(self.dtype.to_complex()).to(self.device)

    def initial_condition(self, rng: np.random.Generator) -> Tensor:
        """Gaussian noise on 0 < |k| < 2 with zero mean and unit rms, [1, points].

        The draws depend on L alone, so a finer grid samples the same function.
        """
        modes = max(1, ceil(self.length / pi) - 1)
        draws = torch.from_numpy(rng.standard_normal((modes, 2)))[: spectral.cutoff(self.points)]
        u_hat = torch.zeros(1, self.points // 2 + 1, dtype=torch.complex128)
        u_hat[0, 1 : len(draws) + 1] = torch.view_as_complex(draws)
        u = torch.fft.irfft(u_hat, n=self.points)
        return (u / u.square().mean().sqrt()).to(self.dtype).to(self.device)

    def to_spectral(self, u: Tensor) -> Tensor:
        """[..., 1, N] → [..., 1, N/2 + 1]."""
        return torch.fft.rfft(u)

    def to_physical(self, u_hat: Tensor) -> Tensor:
        """[..., 1, N/2 + 1] → [..., 1, N]."""
        return torch.fft.irfft(u_hat, n=self.points)

    def observe(self, u_hat: Tensor) -> Tensor:
        """[..., 1, N/2 + 1] → [..., 1, N]; every point is stored."""
        return self.to_physical(u_hat)

    def nonlinear(self, u_hat: Tensor) -> Tensor:
        """−½ ik FFT(u²), with factors and product cut to n ≤ ⌊(N−1)/3⌋."""
        u = torch.fft.irfft(self._mask * u_hat, n=self.points)
        return self._flux * torch.fft.rfft(u * u)

    def tendency(self, u: Tensor) -> Tensor:
        """u_t in physical space, [..., 1, N]."""
        u_hat = self.to_spectral(u)
        return self.to_physical(self._table(self.linear) * u_hat + self.nonlinear(u_hat))

    def courant(self, u_hat: Tensor, dt: float) -> float:
        """max|u| dt / Δx."""
        return float(self.to_physical(u_hat).abs().max()) * dt * self.points / self.length


build = KuramotoSivashinsky

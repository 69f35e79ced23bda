"""Two-dimensional Kolmogorov flow on [0, 2π]²: vorticity of an incompressible flow forced by A sin(ny) along x.

    ω_t = −u·∇ω + ν∇²ω − μω − A n cos(ny),   ∇²ψ = ω,   u = −ψ_y,   v = ψ_x
    ω̂_t = −(νK² + μ) ω̂ − FFT(u·∇ω) + f̂,     K² = k² + l²

Advection is evaluated from the products of velocities alone, u·∇ω = ∂x∂y(v² − u²) + (∂xx − ∂yy)(uv), which needs two
inverse and two forward transforms. Without forcing, drag and viscosity it conserves energy ½⟨|u|²⟩ and enstrophy ½⟨ω²⟩,
also after truncation by the 2/3 rule. The laminar solution is ω = −nU cos(ny), U = A/(νn² + μ). Non-dimensional;
ν = 1/Re.

References:
    Chandler & Kerswell, J. Fluid Mech. 722 (2013) 554; Kochkov et al., PNAS 118 (2021) e2101784118; the four-transform
    form: Basdevant, J. Comput. Phys. 50 (1983) 209.
"""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from torch import Tensor

from thermalize.config import KolmogorovConfig
from thermalize.systems.plane import Plane, random_spectrum

__all__ = ["KolmogorovFlow", "build"]

INITIAL_WAVENUMBER = 4
INITIAL_WIDTH = 0.5
INITIAL_HIGHEST = 12


class KolmogorovFlow:
    """The equation above on N × N points, de-aliased by the 2/3 rule; states are [..., 1, y, x].

    Args:
        config: grid, viscosity, drag, forcing.
        dtype: torch.float64 or torch.float32, the type of physical states.
        device: where states live.
    """

    variable = "vorticity"
    long_name = "vorticity of Kolmogorov flow"
    units = "1"
    length_units, time_units = "length units", "time units"
    channels: tuple[str, ...] = ("vorticity",)
    filter: Tensor | None = None
    advective = True

    def __init__(
        self, config: KolmogorovConfig, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> None:
        self.config, self.dtype, self.device = config, dtype, torch.device(device)
        self.plane = plane = Plane(config.points, 2 * pi, config.stored_points)
        self.equation = (
            "omega_t = -u.grad(omega) + nu laplacian(omega) - mu omega - A n cos(n y), laplacian(psi) = omega, "
            f"u = -psi_y, v = psi_x, nu = {config.viscosity:g}, mu = {config.drag:g}, "
            f"n = {config.forcing_wavenumber}, A = {config.forcing_amplitude:g}"
        )
        self.axes, self.lengths = plane.axes(), (plane.length, plane.length)
        self.linear = -config.viscosity * plane.k2 - config.drag
        self._velocity = self._kept_table(torch.stack([plane.dy, -plane.dx]) * plane.inverse_k2)
        self._shear = self._kept_table(-plane.dx * plane.dy)
        self._strain = self._kept_table(plane.dy**2 - plane.dx**2)
        self._force = self._kept_table(plane.to_spectral(self._forcing()))

    def _forcing(self) -> Tensor:
        n, y = self.config.forcing_wavenumber, torch.arange(self.config.points, dtype=torch.float64)
        profile = -self.config.forcing_amplitude * n * torch.cos(2 * pi * n * y / self.config.points)
        return profile[:, None].expand(-1, self.config.points)

    def _table(self, symbol: Tensor) -> Tensor:
        return self.plane.in_memory(symbol.to(self.dtype.to_complex())).to(self.device)

    def _kept_table(self, symbol: Tensor) -> Tensor:
        return self._table(self.plane.kept(symbol * self.plane.retained))

    def initial_condition(self, rng: np.random.Generator) -> Tensor:
        """Random vorticity, log-normal spectrum around wavenumber 4, with the configured rms speed, [1, y, x]."""
        plane = self.plane
        highest = min(INITIAL_HIGHEST, (plane.points - 1) // 3)
        wavenumber = plane.k2.sqrt().clamp(min=0.5)
        speed = torch.exp(-(((wavenumber / INITIAL_WAVENUMBER).log() / (2 * INITIAL_WIDTH)) ** 2)) / wavenumber.sqrt()
        u_hat = random_spectrum(rng, plane.points, highest) * speed
        rms = plane.to_physical(u_hat).square().mean().sqrt()
        omega_hat = u_hat * plane.k2.sqrt() * (self.config.initial_speed / rms)
        return plane.to_physical(omega_hat)[None].to(self.dtype).to(self.device)

    def to_spectral(self, u: Tensor) -> Tensor:
        """[..., 1, N, N] → [..., 1, N, N/2 + 1]."""
        return self.plane.to_spectral(u)

    def to_physical(self, u_hat: Tensor) -> Tensor:
        """[..., 1, N, N/2 + 1] → [..., 1, N, N]."""
        return self.plane.to_physical(u_hat)

    def observe(self, u_hat: Tensor) -> Tensor:
        """[..., 1, N, N/2 + 1] → vorticity at the stored points, [..., 1, M, M]."""
        return self.plane.coarse(u_hat)

    def velocity(self, u_hat: Tensor) -> Tensor:
        """[..., 1, N, N/2 + 1] → u and v in physical space, [..., 2, N, N]."""
        return self.plane.kept_to_physical(self._velocity * self.plane.kept(u_hat))

    def nonlinear(self, u_hat: Tensor) -> Tensor:
        """−FFT(u·∇ω) + f̂, with factors and product cut to n ≤ ⌊(N−1)/3⌋."""
        velocity = self.velocity(u_hat)
        products = torch.empty_like(velocity)
        (u, v), (difference, product) = velocity.unbind(-3), products.unbind(-3)
        torch.mul(v, v, out=difference).addcmul_(u, u, value=-1)
        torch.mul(u, v, out=product)
        difference, product = self.plane.kept_to_spectral(products).unbind(-3)
        found = torch.addcmul(self._force, self._shear, difference).addcmul_(self._strain, product)
        return self.plane.whole(found.unsqueeze(-3))

    def tendency(self, u: Tensor) -> Tensor:
        """ω_t in physical space, [..., 1, N, N]."""
        u_hat = self.to_spectral(u)
        return self.to_physical(self._table(self.linear) * u_hat + self.nonlinear(u_hat))

    def courant(self, u_hat: Tensor, dt: float) -> float:
        """max(|u| + |v|) dt/Δx."""
        return float(self.velocity(u_hat).abs().sum(-3).max()) * dt * self.plane.points / self.plane.length


build = KolmogorovFlow

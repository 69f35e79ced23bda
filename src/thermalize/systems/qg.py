"""Two-layer quasi-geostrophic turbulence on a doubly periodic β-plane with a mean vertical shear.

    q₁ = ∇²ψ₁ + F₁(ψ₂ − ψ₁),   q₂ = ∇²ψ₂ + F₂(ψ₁ − ψ₂),   u = −ψ_y,   v = ψ_x
    F₁ = r_d⁻²/(1 + δ),   F₂ = δF₁,   δ = H₁/H₂
    ∂_t q_i = −J(ψ_i, q_i) − U_i ∂_x q_i − β_i ∂_x ψ_i − δ_{i2} r_ek ∇²ψ₂ + small-scale dissipation
    β₁ = β + F₁(U₁ − U₂),   β₂ = β − F₂(U₁ − U₂)

The state is the potential vorticity q of the eddies, the upper layer first. De-aliased, advection needs the velocities
alone, in four inverse and five forward transforms:

    J(ψ_i, q_i) = ∂x∂y(v_i² − u_i²) + (∂xx − ∂yy)(u_i v_i) ± F_i (u₁v₂ − v₁u₂),   + in the upper layer

With aliasing, J = ∂x(uq) + ∂y(vq), which still conserves energy. Advection by the mean flow is the diagonal linear
part; β and drag couple the layers, are slow, and go with the non-linear one. Dissipation is one of, or both,

    exponential filter after every step:  q̂ ← q̂ exp(−23.6 (κ − 0.65π)⁴) for κ = K Δx > 0.65π
    Smagorinsky:  dq = curl of 2∂_j(ν_s S_ij),  ν_s = (C_S Δx)² √(2(S_xx² + S_yy² + 2S_xy²))

References:
    Flierl, Dyn. Atmos. Oceans 2 (1978) 341; Arbic & Flierl, J. Phys. Oceanogr. 34 (2004) 2257 (layer ratio, drag);
    LaCasce, thesis, MIT-WHOI (1996) (filter); Smagorinsky, Mon. Weather Rev. 91 (1963) 99; parameters of the eddy
    and jet regimes: Ross et al., J. Adv. Model. Earth Syst. 15 (2023) e2022MS003258.
"""

from __future__ import annotations

from math import pi

import numpy as np
import torch
from torch import Tensor

from thermalize.config import QuasiGeostrophicConfig
from thermalize.systems.plane import Plane, random_spectrum

__all__ = ["QuasiGeostrophic", "build"]

INITIAL_HIGHEST = 8
INITIAL_RMS = 1e-6
FILTER_START, FILTER_STRENGTH = 0.65 * pi, 23.6


class QuasiGeostrophic:
    """The equations above on N × N points; states are [..., layer, y, x] in s⁻¹.

    Args:
        config: grid, layers, mean flow, dissipation.
        dtype: torch.float64 or torch.float32, the type of physical states.
        device: where states live.
    """

    variable = "potential_vorticity"
    long_name = "quasi-geostrophic potential vorticity"
    units = "s-1"
    length_units, time_units = "m", "s"
    channels: tuple[str, ...] = ("upper", "lower")
    advective = True

    def __init__(
        self, config: QuasiGeostrophicConfig, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> None:
        self.config, self.dtype, self.device = config, dtype, torch.device(device)
        self.plane = plane = Plane(config.points, config.length, config.stored_points, dealiased=config.dealias)
        self.axes, self.lengths = plane.axes(), (plane.length, plane.length)
        self.stretching = (  # F₁ and F₂
            config.deformation_radius**-2 / (1 + config.layer_ratio),
            config.layer_ratio * config.deformation_radius**-2 / (1 + config.layer_ratio),
        )
        shear = config.upper_velocity - config.lower_velocity
        self.gradients = (config.beta + self.stretching[0] * shear, config.beta - self.stretching[1] * shear)
        mean_flow = torch.tensor([config.upper_velocity, config.lower_velocity], dtype=torch.float64)
        self._mean_flow = mean_flow.to(self.dtype).to(self.device)[:, None, None]
        self.linear = plane.in_memory(-mean_flow[:, None, None] * plane.dx)
        self._inversion_table = self._table(self._inversion())
        self._velocity = self._kept_table(torch.stack([-plane.dy, plane.dx])[:, None])
        self._shear = self._kept_table(-plane.dx * plane.dy)
        self._strain = self._kept_table(plane.dy**2 - plane.dx**2)
        coupling = torch.tensor([-self.stretching[0], self.stretching[1]], dtype=torch.float64)[:, None, None]
        self._coupling = self._kept_table(coupling * torch.ones_like(plane.k2))
        self._flux = self._kept_table(-torch.stack([plane.dx, plane.dy])[:, None])
        slow = -torch.tensor(self.gradients, dtype=torch.float64)[:, None, None] * plane.dx
        slow[1] += config.bottom_drag * plane.k2
        self._slow = self._table(slow)
        self.filter = self._table(self._exponential_filter()) if config.filter == "exponential" else None
        self._deformation = self._table(torch.stack([-plane.dx * plane.dy, (plane.dx**2 - plane.dy**2) / 2])[:, None])
        self._stress = self._table(
            2 * torch.stack([-2 * plane.dx * plane.dy, plane.dx**2 - plane.dy**2])[:, None] * plane.retained
        )

    @property
    def equation(self) -> str:
        """The equation in plain text, kept with the data; the parameters are beside it."""
        return (
            "q1 = laplacian(psi1) + F1 (psi2 - psi1), q2 = laplacian(psi2) + F2 (psi1 - psi2), "
            "q_i_t = -J(psi_i, q_i) - U_i q_i_x - beta_i psi_i_x - delta_i2 r_ek laplacian(psi2) + dissipation"
        )

    def _inversion(self) -> Tensor:
        """[to layer, from layer, l, k], float64: ψ̂ = −adj(…) q̂ / D with D = K²(K² + F₁ + F₂), 0 at the mean."""
        f1, f2 = self.stretching
        k2 = self.plane.k2
        scale = -self.plane.inverse_k2 / (k2 + f1 + f2)
        ones = torch.ones_like(k2)
        rows = [torch.stack([k2 + f2, f1 * ones]), torch.stack([f2 * ones, k2 + f1])]
        return torch.stack(rows) * scale

    def _exponential_filter(self) -> Tensor:
        kappa = self.plane.k2.sqrt() * self.plane.length / self.plane.points
        return torch.exp(-FILTER_STRENGTH * (kappa - FILTER_START).clamp(min=0) ** 4)

    def _table(self, symbol: Tensor) -> Tensor:
        return self.plane.in_memory(symbol.to(self.dtype.to_complex())).to(self.device)

    def _kept_table(self, symbol: Tensor) -> Tensor:
        return self._table(self.plane.kept(symbol * self.plane.retained))

    def initial_condition(self, rng: np.random.Generator) -> Tensor:
        """Gaussian noise of rms 1e−6 s⁻¹ on indices up to 8 in the upper layer, rest in the lower, [2, y, x]."""
        highest = min(INITIAL_HIGHEST, (self.plane.points - 1) // 3)
        upper = self.plane.to_physical(random_spectrum(rng, self.plane.points, highest))
        upper = upper * (INITIAL_RMS / upper.square().mean().sqrt())
        return torch.stack([upper, torch.zeros_like(upper)]).to(self.dtype).to(self.device)

    def to_spectral(self, u: Tensor) -> Tensor:
        """[..., 2, N, N] → [..., 2, N, N/2 + 1]."""
        return self.plane.to_spectral(u)

    def to_physical(self, u_hat: Tensor) -> Tensor:
        """[..., 2, N, N/2 + 1] → [..., 2, N, N]."""
        return self.plane.to_physical(u_hat)

    def observe(self, u_hat: Tensor) -> Tensor:
        """[..., 2, N, N/2 + 1] → potential vorticity at the stored points, [..., 2, M, M]."""
        return self.plane.coarse(u_hat)

    def streamfunction(self, u_hat: Tensor) -> Tensor:
        """ψ̂ of q̂, [..., layer, l, k]; in m² s⁻¹ after the transform back."""
        upper, lower = u_hat.unsqueeze(-4).unbind(-3)
        return torch.addcmul(self._inversion_table[:, 0] * upper, self._inversion_table[:, 1], lower)

    def velocity(self, psi_hat: Tensor) -> Tensor:
        """Eddy velocity u and v of ψ̂ in physical space, [..., component, layer, N, N]."""
        return self.plane.kept_to_physical(self._velocity * self.plane.kept(psi_hat).unsqueeze(-4))

    def nonlinear(self, u_hat: Tensor) -> Tensor:
        """−J(ψ, q) − β_i ∂x ψ_i − drag, and Smagorinsky's stress where it is configured."""
        psi_hat = self.streamfunction(u_hat)
        found = self._slow * psi_hat
        if self.config.dealias:
            self._advect_by_products_of_velocities(psi_hat, found)
        else:
            self._advect_in_flux_form(u_hat, psi_hat, found)
        return found + self.subgrid(psi_hat) if self.config.smagorinsky else found

    def _advect_by_products_of_velocities(self, psi_hat: Tensor, found: Tensor) -> None:
        """Adds −∂x∂y(v² − u²) − (∂xx − ∂yy)(uv) ∓ F_i (u₁v₂ − v₁u₂)."""
        u, v = self.velocity(psi_hat).unbind(-4)
        products = u.new_empty((*u.shape[:-3], 5, *u.shape[-2:]))
        difference, product, cross = products.split((2, 2, 1), -3)
        torch.mul(v, v, out=difference).addcmul_(u, u, value=-1)
        torch.mul(u, v, out=product)
        (u1, u2), (v1, v2) = u.split(1, -3), v.split(1, -3)
        torch.mul(u1, v2, out=cross).addcmul_(v1, u2, value=-1)
        difference, product, cross = self.plane.kept_to_spectral(products).split((2, 2, 1), -3)
        kept = self.plane.kept(found).addcmul_(self._shear, difference)
        kept.addcmul_(self._strain, product).addcmul_(self._coupling, cross)

    def _advect_in_flux_form(self, u_hat: Tensor, psi_hat: Tensor, found: Tensor) -> None:
        """Adds −∂x(uq) − ∂y(vq), which conserves energy also with aliasing."""
        velocity = self.velocity(psi_hat)
        flux = self.plane.to_spectral(velocity.mul_(self.to_physical(u_hat).unsqueeze(-4)))
        along_x, along_y = flux.unbind(-4)
        found.addcmul_(self._flux[0], along_x).addcmul_(self._flux[1], along_y)

    def subgrid(self, psi_hat: Tensor) -> Tensor:
        """Smagorinsky's tendency of q̂."""
        shear = self.plane.to_physical(psi_hat.unsqueeze(-4) * self._deformation)  # S_xx = −S_yy and S_xy
        size = self.config.smagorinsky * self.plane.length / self.plane.points
        viscosity = 2 * size**2 * shear.square().sum(-4, keepdim=True).sqrt()
        stress = self.plane.to_spectral(viscosity * shear) * self._stress
        return stress.sum(-4)

    def tendency(self, u: Tensor) -> Tensor:
        """q_t in physical space without the filter, [..., 2, N, N], in s⁻²."""
        u_hat = self.to_spectral(u)
        return self.to_physical(self._table(self.linear) * u_hat + self.nonlinear(u_hat))

    def courant(self, u_hat: Tensor, dt: float) -> float:
        """max(|u + U| + |v|) dt/Δx."""
        u, v = self.velocity(self.streamfunction(u_hat)).unbind(-4)
        fastest = float(((u + self._mean_flow).abs() + v.abs()).max())
        return fastest * dt * self.plane.points / self.plane.length


build = QuasiGeostrophic

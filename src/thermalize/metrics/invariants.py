"""Energy E and enstrophy Z of a state, by what its variable is.

    velocity              E = ½⟨|u|²⟩                       Z = ½⟨|∇u|²⟩
    vorticity             E = ½ Σ_k |ω̂|²/k² = ½⟨|u|²⟩       Z = ½⟨ω²⟩
    potential vorticity   E = −½ Σ_i (H_i/H) ⟨ψ_i q_i⟩      Z = ½ Σ_i (H_i/H) ⟨q_i²⟩        of two layers
    anything else         ½ Σ_c ⟨u_c²⟩/σ_c²                 ½ Σ_c ⟨|∇u_c|²⟩/σ_c²            u_c less its mean

The last row goes by the names variance and gradient; mean and deviation σ are the truth's. In every row one of the two
is a weighted variance ½ Σ_c a_c ⟨u_c²⟩, and the other a form ½ Σ_k Σ_ij A_ij(k) Re û_i* û_j. Two layers have the
inversion, with F₁ = r_d⁻²/(1 + δ), F₂ = δF₁, δ = H₁/H₂ and nothing at K = 0,

    ψ̂₁ = −[(K² + F₂) q̂₁ + F₁ q̂₂]/D,   ψ̂₂ = −[F₂ q̂₁ + (K² + F₁) q̂₂]/D,   D = K²(K² + F₁ + F₂)

so that E is the kinetic energy Σ_i (H_i/H) ½⟨|∇ψ_i|²⟩ and the available potential energy
½ r_d⁻² (H₁H₂/H²) ⟨(ψ₁ − ψ₂)²⟩ together. All modes of the stored grid count, so that noise at its scale does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from thermalize.metrics.spectra import Shells

__all__ = ["Invariants", "Measured", "Quantity", "invariants", "layers", "standardised", "velocity", "vorticity"]

Array = NDArray[np.float64]
Modes = NDArray[np.complex128]


class Quantity(NamedTuple):
    """What E or Z is: its name, its definition in words, and the powers of the field and of length in its units."""

    name: str
    definition: str
    field: int
    length: int


class Measured(NamedTuple):
    """What `Invariants.measure` finds; not finite where the state is not."""

    spectrum: Array  # (…, channel, shell), variance
    energy: Array  # (…,)
    enstrophy: Array  # (…,)


@dataclass(frozen=True)
class Invariants:
    """E and Z of states on a grid; pairs of channels are (0, 0), (1, 1), … and then those of `coupled`."""

    shells: Shells
    energy: Quantity
    enstrophy: Quantity
    energy_is_variance: bool
    mean: Array  # (channel,) taken off first
    weights: Array  # (channel,) a_c of the weighted variance
    form: Array  # (pair, mode) A of the form, off-diagonal elements twice
    coupled: tuple[tuple[int, int], ...] = ()
    kinetic: Array | None = None  # (channel, pair, mode) form of ⟨|u|²⟩ in every channel

    @property
    def names(self) -> dict[str, str]:
        """What energy and enstrophy are called: what is no energy is not called so."""
        return {"energy": self.energy.name, "enstrophy": self.enstrophy.name}

    def measure(self, u: NDArray[np.floating]) -> Measured:
        """Variance spectrum, E and Z of states (…, channel, *grid)."""
        with np.errstate(invalid="ignore", over="ignore"):
            u_hat = self.shells.modes(u)
            u_hat[..., 0] -= np.prod(self.shells.shape) * self.mean
            products = self._products(u_hat)
            spectrum = self.shells.sum(products[..., : self.mean.size, :])
            variance = 0.5 * (spectrum.sum(axis=-1) * self.weights).sum(axis=-1)
            form = 0.5 * self.shells.total(products, self.form)
        return Measured(spectrum, *((variance, form) if self.energy_is_variance else (form, variance)))

    def spectra(self, u: NDArray[np.floating]) -> tuple[Array, Array]:
        """Variance spectrum of states, and ½⟨|u|²⟩ by channel and shell, without channels where that is unknown."""
        products = self._products(self.shells.modes(u))
        variance = self.shells.sum(products[..., : self.mean.size, :])
        if self.kinetic is None:
            return variance, variance[..., :0, :]
        return variance, 0.5 * self.shells.sum(np.einsum("cpm,...pm->...cm", self.kinetic, products))

    def _products(self, u_hat: Modes) -> Array:
        """N^{2d} Re û_i* û_j of every pair of channels: (…, channel, mode) → (…, pair, mode)."""
        power = u_hat.real**2 + u_hat.imag**2
        if not self.coupled:
            return power
        first, second = (u_hat[..., list(channels), :] for channels in zip(*self.coupled, strict=True))
        return np.concatenate([power, first.real * second.real + first.imag * second.imag], axis=-2)


def invariants(variable: str, system: Mapping[str, Any], shells: Shells, mean: Array, std: Array) -> Invariants:
    """The definitions for the variable of that name; `system` holds the parameters that came with the data.

    `mean` and `std` (channel,) are the truth's, for what is none of the three known variables.
    """
    plane = len(shells.shape) == 2
    if variable == "velocity":
        return velocity(shells, mean.size)
    if variable == "vorticity" and plane:
        return vorticity(shells, mean.size)
    two_layers = {"layer_ratio", "deformation_radius"}.issubset(system) and mean.size == 2
    if variable == "potential_vorticity" and plane and two_layers:
        return layers(shells, float(system["layer_ratio"]), float(system["deformation_radius"]))
    return standardised(shells, mean, std)


def velocity(shells: Shells, channels: int = 1) -> Invariants:
    """Every channel is a component of the velocity."""
    return Invariants(
        shells,
        energy=Quantity("energy", "energy ½⟨u²⟩", 2, 0),
        enstrophy=Quantity("enstrophy", "enstrophy ½⟨|∇u|²⟩", 2, -2),
        energy_is_variance=True,
        mean=np.zeros(channels),
        weights=np.ones(channels),
        form=np.tile(shells.k_squared, (channels, 1)),
    )


def vorticity(shells: Shells, channels: int = 1) -> Invariants:
    """Every channel is the vorticity of a two-dimensional flow without divergence, which has no mean."""
    form = np.tile(_reciprocal(shells.k_squared), (channels, 1))
    return Invariants(
        shells,
        energy=Quantity("energy", "kinetic energy ½⟨|u|²⟩", 2, 2),
        enstrophy=Quantity("enstrophy", "enstrophy ½⟨ω²⟩", 2, 0),
        energy_is_variance=False,
        mean=np.zeros(channels),
        weights=np.ones(channels),
        form=form,
        kinetic=np.eye(channels)[:, :, None] * form,
    )


def layers(shells: Shells, layer_ratio: float, deformation_radius: float) -> Invariants:
    """Two layers of quasi-geostrophic potential vorticity, the upper one first; δ [1] and r_d [length unit]."""
    k2, upper, lower = shells.k_squared, layer_ratio / (1 + layer_ratio), 1 / (1 + layer_ratio)
    f1, f2 = deformation_radius**-2 / (1 + layer_ratio), layer_ratio * deformation_radius**-2 / (1 + layer_ratio)
    psi = np.stack([k2 + f2, np.full_like(k2, f1), np.full_like(k2, f2), k2 + f1]).reshape(2, 2, -1)
    psi *= -_reciprocal(k2 * (k2 + f1 + f2))
    cross = -(upper * psi[0, 1] + lower * psi[1, 0])
    return Invariants(
        shells,
        energy=Quantity("energy", "total energy −½ Σ (Hᵢ/H)⟨ψᵢqᵢ⟩", 2, 2),
        enstrophy=Quantity("enstrophy", "potential enstrophy ½ Σ (Hᵢ/H)⟨qᵢ²⟩", 2, 0),
        energy_is_variance=False,
        mean=np.zeros(2),
        weights=np.array([upper, lower]),
        form=np.stack([-upper * psi[0, 0], -lower * psi[1, 1], cross]),
        coupled=((0, 1),),
        kinetic=k2 * np.stack([psi[:, 0] ** 2, psi[:, 1] ** 2, 2 * psi[:, 0] * psi[:, 1]], axis=1),
    )


def standardised(shells: Shells, mean: Array, std: Array) -> Invariants:
    """Channels of any kind, each less its mean and in units of its standard deviation."""
    return Invariants(
        shells,
        energy=Quantity("variance", "variance ½⟨u²⟩ of standardised channels", 0, 0),
        enstrophy=Quantity("gradient", "gradient ½⟨|∇u|²⟩ of standardised channels", 0, -2),
        energy_is_variance=True,
        mean=mean,
        weights=std**-2,
        form=std[:, None] ** -2 * shells.k_squared,
    )


def _reciprocal(values: Array) -> Array:
    """1/x, and 0 at 0."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)

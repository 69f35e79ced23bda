"""The Gaussian world on a periodic grid: fields whose Fourier modes are independent, for what works on wavenumbers."""

from __future__ import annotations

import numpy as np
import torch
from gaussian import GaussianModel
from torch import Tensor, nn

POINTS = 64


def basis(points: int = POINTS) -> Tensor:
    """Orthonormal real Fourier modes [mode, point]: the mean, then cosine and sine of every wavenumber."""
    x = 2 * np.pi * np.arange(points) / points
    waves = [np.full(points, 1 / np.sqrt(points))]
    for k in range(1, points // 2 + 1):
        waves.append(np.cos(k * x))
        if k < points / 2:
            waves.append(np.sin(k * x))
    modes = np.stack(waves)
    return torch.from_numpy(modes / np.linalg.norm(modes, axis=1, keepdims=True))


def wavenumbers(points: int = POINTS) -> Tensor:
    return (torch.arange(points) + 1) // 2


def spectrum(points: int = POINTS) -> Tensor:
    """Variance of every mode: (1 + k)⁻³, of mean 1."""
    variance = (1.0 + wavenumbers(points).double()) ** -3
    return variance / variance.mean()


class OnGrid(GaussianModel):
    """The perfect noise model of fields whose modes have that variance."""

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        modes = basis(x.shape[-1])
        return super().noise(x @ modes.T, level) @ modes

    def level(self, x: Tensor) -> Tensor:
        return super().level(x @ basis(x.shape[-1]).T)


class Waves(nn.Module):
    """x̂_k → ψ_k x̂_k + √q_k ξ_k, by default the truth: q = λ (1 − φ²)."""

    def __init__(self, variance: Tensor, psi: Tensor, phi: float = 0.95, seed: int = 3) -> None:
        super().__init__()
        self.modes, self.psi = basis(len(variance)), psi
        self.scale = (variance * (1 - phi**2)).sqrt()
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        xi = torch.randn(x.shape, generator=self.generator, dtype=x.dtype)
        return (self.psi * (x @ self.modes.T) + self.scale * xi) @ self.modes


def fields(variance: Tensor, count: int, seed: int = 0) -> Tensor:
    xi = torch.randn(count, 1, len(variance), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (xi * variance.sqrt()) @ basis(len(variance))


def trajectories(variance: Tensor, members: int, steps: int, phi: float = 0.95) -> Tensor:
    """True trajectories [member, time, 1, point]."""
    truth, x = Waves(variance, torch.full_like(variance, phi), phi, seed=11), fields(variance, members, seed=12)
    found = [x]
    for _ in range(steps - 1):
        found.append(truth(found[-1]))
    return torch.stack(found, dim=1)


def variances(x: Tensor) -> Tensor:
    """Mean square of every mode of fields [..., 1, point]."""
    return (x @ basis(x.shape[-1]).T).square().flatten(0, -2).mean(0)

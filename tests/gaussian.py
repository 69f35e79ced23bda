"""The Gaussian world: x ~ N(0, diag λ), where the optimal noise prediction and the level's posterior are known exactly.

With c_s = ᾱ_s λ + u_s and u_s = 1 − ᾱ_s:

    ε*(x, s) = √u_s x / c_s,      log p(x | s) = −½ Σ_k [log c_sk + x_k² / c_sk] + const
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thermalize.config import ScheduleConfig
from thermalize.diffusion.schedule import Schedule, build

SCHEDULE = build(ScheduleConfig(levels=1000))


def steep_spectrum(modes: int) -> Tensor:
    """λ_k ∝ k⁻³ with mean 1."""
    spectrum = torch.arange(1, modes + 1, dtype=torch.float64) ** -3.0
    return spectrum / spectrum.mean()


@dataclass(frozen=True)
class GaussianModel:
    """The perfect noise model of N(0, diag λ); states [batch, 1, modes]."""

    variance: Tensor
    levels: int = 600
    schedule: Schedule = SCHEDULE

    def marginal(self, level: Tensor) -> Tensor:
        """c_s [level, mode]."""
        signal, noise = self.schedule.signal(level)[:, None], self.schedule.noise(level)[:, None]
        return signal**2 * self.variance + noise**2

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        gain = self.schedule.noise(level)[:, None] / self.marginal(level)
        return (gain[:, None, :] * x.double()).to(x.dtype)

    def level(self, x: Tensor) -> Tensor:
        c = self.marginal(torch.arange(self.levels))
        log_likelihood = -0.5 * ((x.double()[:, 0] ** 2) @ (1 / c).T + c.log().sum(1))
        return log_likelihood.argmax(1)


def ddpm_output(variance: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Gain g and variance v of x_stop given x_start after ancestral steps with the perfect noise prediction.

    V_{i−1} = G_i² V_i + v_i with G_i = √α_i c_{i−1}/c_i and v_i = β_i u_{i−1}/u_i.
    """
    model = GaussianModel(variance)
    gain, spread = torch.ones_like(variance), torch.zeros_like(variance)
    for i in range(start, stop, -1):
        here, there = torch.tensor([i]), torch.tensor([i - 1])
        alpha = (SCHEDULE.signal(here) / SCHEDULE.signal(there)) ** 2
        step_gain = (alpha.sqrt() * model.marginal(there) / model.marginal(here))[0]
        added = (1 - alpha) * SCHEDULE.noise(there) ** 2 / SCHEDULE.noise(here) ** 2
        gain, spread = step_gain * gain, step_gain**2 * spread + added
    return gain, spread

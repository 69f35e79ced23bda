"""The Gaussian world: x ~ N(0, diag λ), where the optimal noise prediction and the level's posterior are known exactly.

With c_s = ᾱ_s λ + u_s and u_s = 1 − ᾱ_s:

    ε*(x, s) = √u_s x / c_s,      log p(x | s) = −½ Σ_k [log c_sk + x_k² / c_sk] + const

All maps here are linear with additive noise, x → g x + Σ_j r_j z_j mode by mode: their gain g and variance Σ r_j² can
be read off without sampling: from the answer to x = 1 without noise, and to each draw alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from thermalize.config import (
    CosineScheduleConfig,
    GeometricScheduleConfig,
    LinearScheduleConfig,
    PowerScheduleConfig,
)
from thermalize.diffusion.denoiser import NoiseModel
from thermalize.diffusion.samplers import Sampler
from thermalize.diffusion.schedule import Schedule, build
from thermalize.stabilizers.thermalizer import Thermalizer
from thermalize.stabilizers.triggers import Member

SCHEDULE = build(CosineScheduleConfig(levels=1000))
# Levels so close that rounding to them does not show in the order of a sampler.
FINE = {
    "cosine": build(CosineScheduleConfig(levels=2**14)),
    "linear": build(LinearScheduleConfig(kind="linear", levels=2**14)),
    "geometric": build(GeometricScheduleConfig(kind="geometric", levels=2**14)),
    "power": build(PowerScheduleConfig(kind="power", levels=2**14, sigma_min=0.04, sigma_max=0.9)),
}


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


@dataclass(frozen=True)
class ExactSampler:
    """x_r | x_s of the Gaussian in one draw: gain √(ᾱ_s/ᾱ_r) c_r/c_s, variance c_r − gain² c_s."""

    model: GaussianModel
    order: ClassVar[int] = 0

    @property
    def schedule(self) -> Schedule:
        return self.model.schedule

    def evaluations(self, start: Tensor, stop: int) -> Tensor:
        return (start > stop).long()

    def reverse(self, model, x, start: Tensor, stop: int, rows, noise) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        here, there = self.model.marginal(start), self.model.marginal(torch.full_like(start, stop))
        gain = (self.schedule.signal(start) / self.schedule.signal(stop))[:, None] * there / here
        spread = (there - gain**2 * here).clamp(min=0).sqrt()
        return gain[:, None] * x + spread[:, None] * noise.draw(rows, x), self.evaluations(start, stop)


class Impulses:
    """Noise whose draw number j is 1 for row j and 0 for every other row."""

    def __init__(self, rows: int) -> None:
        self.drawn = torch.zeros(rows, dtype=torch.long)

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:
        values = torch.zeros_like(like)
        values[self.drawn[rows] == rows] = 1.0
        self.drawn[rows] += 1
        return values


class Draws:
    """Normal draws of all rows at once, for statistics over very many members."""

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:  # noqa: ARG002
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype)


def response(act: Callable[[Tensor, Tensor, Impulses], Tensor], modes: int, draws: int) -> tuple[Tensor, Tensor]:
    """Gain and variance, each [mode], of `act(x, rows, noise)`, which draws at most `draws` times per member."""
    x = torch.zeros(draws + 1, 1, modes, dtype=torch.float64)
    x[draws] = 1.0
    out = act(x, torch.arange(draws + 1), Impulses(draws + 1))[:, 0]
    return out[draws], out[:draws].square().sum(0)


def above(model: NoiseModel, sampler: Sampler, start: int, stop: int, every: int = 1, **settings: Any) -> Thermalizer:
    """Thermalizes members whose level exceeds `start`."""
    return Thermalizer(model, sampler, Member(model, start, every), stop, **settings)

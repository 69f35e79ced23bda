"""DDPM and DDIM: steps with any share of fresh noise.

One step from level i to level r < i, with u = 1 − ᾱ and the state's estimate x̂ = (x_i − √u_i ε̂)/√ᾱ_i:

    x_r = √ᾱ_r x̂ + √(u_r − σ²) ε̂ + σ z,      σ² = η² (u_r/u_i)(1 − ᾱ_i/ᾱ_r)

η = 1 on every level is DDPM (Ho, Jain, Abbeel, arXiv 2006.11239), η = 0 is DDIM (Song, Meng, Ermon, arXiv 2010.02502),
a first-order solver of the probability flow; one step without noise ends, at clean, at the posterior mean E[x | x_i].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thermalize.diffusion.denoiser import NoisePredictor
from thermalize.diffusion.samplers.base import Move, ladder, moves, rungs
from thermalize.diffusion.schedule import Schedule, column
from thermalize.runtime.members import NoiseSource

__all__ = ["DDIM", "DDPM", "PosteriorMean"]


@dataclass(frozen=True)
class DDIM:
    """`steps` bounds the network evaluations per member, None takes every level; `eta` as above."""

    schedule: Schedule
    steps: int | None = None
    eta: float = 0.0
    order: ClassVar[int] = 1

    def evaluations(self, start: Tensor, stop: int) -> Tensor:
        return rungs(start, stop, self.steps)

    def reverse(
        self, model: NoisePredictor, x: Tensor, start: Tensor, stop: int, rows: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        x = x.clone()
        for move in moves(ladder(start, stop, self.steps)):
            x[move.active] = self._step(model, x[move.active], move, rows[move.active], noise)
        return x, self.evaluations(start, stop)

    def _step(self, model: NoisePredictor, x: Tensor, move: Move, rows: Tensor, noise: NoiseSource) -> Tensor:
        epsilon = model.noise(x, move.here)
        u_here, u_there = self.schedule.noise(move.here) ** 2, self.schedule.noise(move.there) ** 2
        a_here, a_there = 1 - u_here, 1 - u_there
        sigma2 = self.eta**2 * u_there / u_here * (1 - a_here / a_there)
        state_gain = (a_there / a_here).sqrt()
        noise_gain = (u_there - sigma2).clamp(min=0).sqrt() - state_gain * u_here.sqrt()
        x = column(state_gain, x) * x + column(noise_gain, x) * epsilon
        stirred = torch.nonzero(sigma2 > 0).flatten()
        if len(stirred):
            x[stirred] += column(sigma2[stirred].sqrt(), x) * noise.draw(rows[stirred], x[stirred])
        return x


@dataclass(frozen=True)
class DDPM(DDIM):
    """Ancestral steps, η = 1."""

    eta: float = 1.0


@dataclass(frozen=True)
class PosteriorMean(DDIM):
    """One step without noise: to clean, E[x | x_i] (Tweedie's formula); to a level, that with the rest of ε̂ on it."""

    steps: int | None = 1
    order: ClassVar[int] = 0

"""Reverse steps from a noise level down to a lower one.

One step from level i to level r < i, with u = 1 − ᾱ and the state's estimate x̂ = (x_i − √u_i ε̂)/√ᾱ_i:

    x_r = √ᾱ_r x̂ + √(u_r − σ²) ε̂ + σ z,      σ² = η² (u_r/u_i)(1 − ᾱ_i/ᾱ_r)

η = 1 on every level is DDPM (Ho, Jain, Abbeel, arXiv 2006.11239), η = 0 is DDIM (Song, Meng, Ermon, arXiv 2010.02502);
one deterministic step to clean is the posterior mean E[x | x_i]. Members of a batch have levels of their own, take
their own steps and draw their own noise: nobody's trajectory depends on who shares the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from thermalize.diffusion.denoiser import NoiseModel
from thermalize.diffusion.schedule import Schedule, column

__all__ = ["NoiseSource", "Sampler", "ladder"]


class NoiseSource(Protocol):
    """Standard normal draws of single members, each from its own stream."""

    def draw(self, rows: Tensor, like: Tensor) -> Tensor:
        """The next draw of each member in `rows` [batch], shaped like `like` [batch, channel, *grid]."""
        ...


def ladder(start: Tensor, stop: int, steps: int | None) -> Tensor:
    """Levels that each member visits, [batch, longest + 1]; a member that has arrived stays at `stop`.

    Every level from `start` [batch] to `stop`, or `steps` equal jumps (rounded) where that is fewer.
    """
    span = (start - stop).clamp(min=0)
    count = span if steps is None else span.clamp(max=steps)
    j = torch.arange(int(count.max()) + 1)
    done = torch.minimum(j / count.clamp(min=1)[:, None], torch.ones(()))
    return start[:, None] - torch.round(done * span[:, None]).long()


@dataclass(frozen=True)
class Sampler:
    """`eta` as above; `steps` bounds the network evaluations per member, None takes every level."""

    schedule: Schedule
    eta: float = 1.0
    steps: int | None = None
    order: int = 1

    def reverse(
        self, model: NoiseModel, x: Tensor, start: Tensor, stop: int, rows: Tensor, noise: NoiseSource
    ) -> tuple[Tensor, Tensor]:
        """Takes x [batch, channel, *grid] at levels `start` [batch] down to `stop`.

        Returns the states and the number of network evaluations of each member.
        """
        levels = ladder(start, stop, self.steps)
        x = x.clone()
        for here, there in zip(levels.T[:-1], levels.T[1:], strict=True):
            active = torch.nonzero(here > there).flatten()
            x[active] = self._step(model, x[active], here[active], there[active], rows[active], noise)
        return x, (levels[:, :-1] > levels[:, 1:]).sum(1)

    def _step(
        self, model: NoiseModel, x: Tensor, here: Tensor, there: Tensor, rows: Tensor, noise: NoiseSource
    ) -> Tensor:
        epsilon = model.noise(x, here)
        u_here, u_there = self.schedule.noise(here) ** 2, self.schedule.noise(there) ** 2
        a_here, a_there = 1 - u_here, 1 - u_there
        sigma2 = self.eta**2 * u_there / u_here * (1 - a_here / a_there)
        state_gain = (a_there / a_here).sqrt()
        noise_gain = (u_there - sigma2).clamp(min=0).sqrt() - state_gain * u_here.sqrt()
        x = column(state_gain, x) * x + column(noise_gain, x) * epsilon
        stirred = torch.nonzero(sigma2 > 0).flatten()
        if len(stirred):
            x[stirred] += column(sigma2[stirred].sqrt(), x) * noise.draw(rows[stirred], x[stirred])
        return x

"""Thermalization: back to the invariant measure when the noise level of a predicted state is too high.

    s ← most probable noise level of x
    if s > start:   x ← √ᾱ_s x + √(1−ᾱ_s) ξ,   then reverse steps from level s down to `stop`

Pedersen, Zanna, Bruna, arXiv 2503.18731. Each member has its own level, steps and random stream. Where the equation
conserves the domain mean, the mean that the state had before is restored: nothing else would ever bring back what the
noise does to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thermalize.diffusion.denoiser import NoiseModel
from thermalize.diffusion.samplers import Sampler
from thermalize.stabilizers.base import MemberNoise, Outcome

__all__ = ["Thermalizer"]


@dataclass(frozen=True)
class Thermalizer:
    """Thermalizes members above level `start` down to level `stop` (−1: clean)."""

    model: NoiseModel
    sampler: Sampler
    start: int
    stop: int
    forward_noise: bool = True
    check_every: int = 1
    conserve_mean: bool = False

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: MemberNoise) -> Outcome:
        if step % self.check_every:
            return Outcome.untouched(x)
        level = self.model.level(x).cpu()
        hot = torch.nonzero(level > self.start).flatten()
        untouched = Outcome.untouched(x, level)
        return self._thermalize(untouched, hot, rows, noise) if len(hot) else untouched

    def _thermalize(self, before: Outcome, hot: Tensor, rows: Tensor, noise: MemberNoise) -> Outcome:
        chosen, level = before.x[hot], before.level[hot]
        noisy = chosen
        if self.forward_noise:
            noisy = self.sampler.schedule.diffuse(chosen, level, noise.draw(rows[hot], chosen))
        cooled, evaluations = self.sampler.reverse(self.model, noisy, level, self.stop, rows[hot], noise)
        if self.conserve_mean:
            grid = tuple(range(2, cooled.ndim))
            cooled = cooled + (chosen - cooled).mean(grid, keepdim=True)
        x = before.x.clone()
        x[hot] = cooled
        before.reverse_steps[hot] = evaluations
        before.displacement[hot] = (cooled - chosen).flatten(1).square().mean(1).sqrt().float().cpu()
        return Outcome(x, before.level, before.reverse_steps, before.displacement)

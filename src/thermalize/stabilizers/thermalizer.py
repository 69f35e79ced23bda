"""Thermalization: back to the invariant measure when the noise level of a predicted state is too high.

    s ← most probable noise level of x
    if s > start:   x ← √ᾱ_s x + √(1−ᾱ_s) ξ,   then reverse steps from level s down to `stop`

Pedersen, Zanna, Bruna, arXiv 2503.18731. Each member has its own level, steps and random stream. Where the equation
conserves the domain mean, the mean that the state had before is restored: nothing else would ever bring back what the
noise does to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from thermalize.diffusion.denoiser import NoiseModel
from thermalize.diffusion.samplers import NoiseSource, Sampler
from thermalize.stabilizers.base import Memory, Memoryless, Outcome
from thermalize.stabilizers.triggers import Due, Trigger

__all__ = ["Thermalizer"]


@dataclass(frozen=True)
class Thermalizer(Memoryless):
    """Takes members that are due down to level `stop` (−1: clean); above level `guard` they are given up."""

    model: NoiseModel
    sampler: Sampler
    trigger: Trigger
    stop: int
    forward_noise: bool = True
    conserve_mean: bool = False
    guard: int | None = None

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Outcome:  # noqa: ARG002
        due = self.trigger(x, step, rows)
        outcome = Outcome.untouched(x, due.seen)
        if self.guard is not None:
            outcome.lost[due.seen > self.guard] = True
            saved = ~outcome.lost[due.members]
            due = Due(due.seen, due.members[saved], due.level[saved])
        return self._thermalize(outcome, due, rows, noise) if len(due.members) else outcome

    def _thermalize(self, outcome: Outcome, due: Due, rows: Tensor, noise: NoiseSource) -> Outcome:
        everyone = len(due.members) == len(outcome.x)
        chosen = outcome.x if everyone else outcome.x[due.members]
        cooled, evaluations = self._cooled(chosen, due.level, rows[due.members], noise)
        outcome.reverse_steps[due.members] = evaluations
        outcome.displacement[due.members] = (cooled - chosen).flatten(1).square().mean(1).sqrt().float().cpu()
        return replace(
            outcome, x=cooled if everyone else outcome.x.index_copy(0, due.members.to(cooled.device), cooled)
        )

    def _cooled(self, x: Tensor, level: Tensor, rows: Tensor, noise: NoiseSource) -> tuple[Tensor, Tensor]:
        noisy = self.sampler.schedule.diffuse(x, level, noise.draw(rows, x)) if self.forward_noise else x
        cooled, evaluations = self.sampler.reverse(self.model, noisy, level, self.stop, rows, noise)
        if self.conserve_mean:
            grid = tuple(range(2, x.ndim))
            cooled = cooled + (x - cooled).mean(grid, keepdim=True)
        return cooled, evaluations

"""DPM-Solver++(2M): the probability flow at second order, one evaluation per step.

With the logarithm of signal to noise λ = log(√ᾱ/√u), h = λ_r − λ_i for the step from level i to r, h′ for the step
before, and the estimates of the state x̂_i = (x_i − √u_i ε̂)/√ᾱ_i of now and x̂′ of one step ago:

    x_r = √(u_r/u_i) x_i + (√ᾱ_r − √ᾱ_i √(u_r/u_i)) D,      D = x̂_i + h/(2h′) (x̂_i − x̂′)

D is the estimate extrapolated to the middle of the step. The first step takes D = x̂_i, and so does a step to clean,
where λ is infinite: it ends at x̂_i (Lu, Zhou, Bao, Chen, Li, Zhu, arXiv 2211.01095, algorithm 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from thermalize.diffusion.denoiser import NoisePredictor
from thermalize.diffusion.predictions import posterior_mean
from thermalize.diffusion.samplers.base import Move, ladder, moves, rungs
from thermalize.diffusion.schedule import CLEAN, Schedule, column
from thermalize.runtime.members import NoiseSource

__all__ = ["DPMSolver2M"]


@dataclass(frozen=True)
class DPMSolver2M:
    """`steps` bounds the network evaluations per member, None takes every level."""

    schedule: Schedule
    steps: int | None = None
    order: ClassVar[int] = 2

    def evaluations(self, start: Tensor, stop: int) -> Tensor:
        return rungs(start, stop, self.steps)

    def reverse(
        self, model: NoisePredictor, x: Tensor, start: Tensor, stop: int, rows: Tensor, noise: NoiseSource  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        x, previous = x.clone(), torch.zeros_like(x)
        for move in moves(ladder(start, stop, self.steps)):
            now = x[move.active]
            estimate = posterior_mean(self.schedule, now, model.noise(now, move.here), move.here)
            ahead = estimate + column(self._lead(move), now) * (estimate - previous[move.active])
            x[move.active] = self._step(now, ahead, move)
            previous[move.active] = estimate
        return x, self.evaluations(start, stop)

    def _lead(self, move: Move) -> Tensor:
        """h/(2h′) [active], 0 in a first step and in one to clean."""
        before, here, there = (self.schedule.log_snr(level) for level in (move.before, move.here, move.there))
        first_order = (move.before == move.here) | (move.there == CLEAN)
        return torch.where(first_order, 0.0, (there - here) / (2 * (here - before)))

    def _step(self, x: Tensor, ahead: Tensor, move: Move) -> Tensor:
        kept = self.schedule.noise(move.there) / self.schedule.noise(move.here)
        added = self.schedule.signal(move.there) - self.schedule.signal(move.here) * kept
        return column(kept, x) * x + column(added, x) * ahead

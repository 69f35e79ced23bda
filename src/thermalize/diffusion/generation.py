"""States that a diffusion model makes: from pure noise where it can, from noised truth, and by thermalizing truth once.

    unconditional   ξ at the lowest level with √ᾱ_s ≤ 0.01            probability flow to clean
    partial         √ᾱ_s x + √u_s ξ at the highest trained level      probability flow to clean
    thermalized     the same at the level with √u_s nearest to 0.03   ancestral steps on every level to clean

A model begins at pure noise where its training reached a level that leaves 1 % of the signal; elsewhere its samples are
partial. The flow is taken in second-order steps (DPM-Solver++(2M)) over at most 50 levels with equal distances in
λ = log(√ᾱ/√u): a mode of variance v forms around λ = −½ log v, so that all scales are formed in equally many steps.

Fewer levels of a schedule are a schedule (Nichol, Dhariwal, arXiv 2102.09672, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from thermalize.diffusion.denoiser import NoisePredictor
from thermalize.diffusion.samplers import DDPM, DPMSolver2M, Sampler
from thermalize.diffusion.schedule import CLEAN, Schedule
from thermalize.runtime.members import NoiseSource

__all__ = ["Protocol", "equidistant", "protocols"]

PURE_SIGNAL = 0.01
FLOW_LEVELS = 50
THERMAL_NOISE = 0.03


@dataclass(frozen=True)
class Protocol:
    """How states are made: `sampler` goes down the levels `levels` [step], ascending, of the model's own schedule."""

    kind: str
    levels: Tensor
    sampler: Sampler

    @property
    def level(self) -> int:
        """Where it begins, as a level of the model's own schedule."""
        return int(self.levels[-1])

    @property
    def noise(self) -> float:
        """Standard deviation of the noise where it begins."""
        return float(self.sampler.schedule.noise(self._top))

    @property
    def from_noise(self) -> bool:
        """Whether it begins without any true state."""
        return self.kind == "unconditional"

    def make(self, model: NoisePredictor, truth: Tensor, rows: Tensor, noise: NoiseSource) -> Tensor:
        """States from normalised true ones [batch, channel, *grid]; unconditional ones take only the shape from them.

        `rows` [batch] are the states' numbers in `noise`.
        """
        start = torch.full((len(truth),), self._top)
        xi = noise.draw(rows, truth)
        noisy = xi if self.from_noise else self.sampler.schedule.diffuse(truth, start, xi)
        return self.sampler.reverse(_Chosen(model, self.levels), noisy, start, CLEAN, rows, noise)[0]

    @property
    def _top(self) -> int:
        return len(self.levels) - 1


@dataclass(frozen=True)
class _Chosen:
    """A model on some of its levels, which are numbered anew."""

    model: NoisePredictor
    levels: Tensor

    def noise(self, x: Tensor, level: Tensor) -> Tensor:
        return self.model.noise(x, self.levels[level])


def protocols(schedule: Schedule, trained: int) -> tuple[Protocol, Protocol]:
    """Samples and thermalized states of a model that was trained on levels 0 … `trained` − 1."""
    known = torch.arange(trained)
    pure = torch.nonzero(schedule.signal(known) <= PURE_SIGNAL).flatten()
    flow = equidistant(schedule, int(pure[0]) if len(pure) else trained - 1, FLOW_LEVELS)
    low = known[: int((schedule.noise(known) - THERMAL_NOISE).abs().argmin()) + 1]
    return (
        Protocol("unconditional" if len(pure) else "partial", flow, DPMSolver2M(_part(schedule, flow))),
        Protocol("thermalized", low, DDPM(_part(schedule, low))),
    )


def equidistant(schedule: Schedule, top: int, count: int) -> Tensor:
    """At most `count` levels [step] from 0 to `top`, those nearest to equal distances in λ; ascending."""
    rising = -schedule.log_snr(torch.arange(top + 1))
    wanted = torch.linspace(float(rising[0]), float(rising[-1]), count, dtype=rising.dtype)
    return (rising - wanted[:, None]).abs().argmin(dim=1).unique()


def _part(schedule: Schedule, levels: Tensor) -> Schedule:
    return Schedule(schedule.alpha_bar[levels + 1])

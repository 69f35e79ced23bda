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

from thermalize.config import ThermalizerConfig
from thermalize.diffusion import samplers
from thermalize.diffusion.calibration import auto_start, auto_stop
from thermalize.diffusion.denoiser import NoiseModel
from thermalize.diffusion.samplers import Sampler
from thermalize.diffusion.schedule import CLEAN
from thermalize.diffusion.trained import TrainedDiffusion
from thermalize.runtime.members import NoiseSource, Record, Series
from thermalize.stabilizers import drift
from thermalize.stabilizers.base import Inputs, Memory, Stabilized, Stabilizer, Stateless
from thermalize.stabilizers.triggers import NOT_LOOKED_AT, TRIGGERS, Due, Trigger

__all__ = ["SERIES", "Thermalizer", "build", "thresholds"]

LEVEL = Series("level", "predicted noise level, -1 where it was not looked at", dtype="int16", missing=NOT_LOOKED_AT)
REVERSE_STEPS = Series(
    "reverse_steps", "network evaluations spent on denoising", dtype="int16", missing=0, evaluations=True
)
DISPLACEMENT = Series(
    "displacement", "root mean square change by denoising, in standard deviations of the data", missing=0.0
)
SERIES = (LEVEL, REVERSE_STEPS, DISPLACEMENT)


@dataclass(frozen=True)
class Thermalizer(Stateless):
    """Takes members that are due down to level `stop` (−1: clean); above level `guard` they are given up."""

    model: NoiseModel
    sampler: Sampler
    trigger: Trigger
    stop: int
    forward_noise: bool = True
    conserve_mean: bool = False
    guard: int | None = None

    @property
    def series(self) -> tuple[Series, ...]:
        return SERIES

    def __call__(self, x: Tensor, step: int, rows: Tensor, noise: NoiseSource, memory: Memory) -> Stabilized:  # noqa: ARG002
        due = self.trigger(x, step, rows)
        lost = torch.zeros(len(x), dtype=torch.bool) if self.guard is None else due.seen > self.guard
        kept = ~lost[due.members]
        due = Due(due.seen, due.members[kept], due.level[kept])
        record = {each.name: each.empty(len(x)) for each in SERIES} | {LEVEL.name: due.seen}
        return Stabilized(self._thermalized(x, due, rows, noise, record), lost, record)

    def _thermalized(self, x: Tensor, due: Due, rows: Tensor, noise: NoiseSource, record: Record) -> Tensor:
        if not len(due.members):
            return x
        everyone = len(due.members) == len(x)
        chosen = x if everyone else x[due.members]
        cooled, evaluations = self._cooled(chosen, due.level, rows[due.members], noise)
        record[REVERSE_STEPS.name][due.members] = evaluations
        record[DISPLACEMENT.name][due.members] = (cooled - chosen).flatten(1).square().mean(1).sqrt().float().cpu()
        return cooled if everyone else x.index_copy(0, due.members.to(cooled.device), cooled)

    def _cooled(self, x: Tensor, level: Tensor, rows: Tensor, noise: NoiseSource) -> tuple[Tensor, Tensor]:
        noisy = self.sampler.schedule.diffuse(x, level, noise.draw(rows, x)) if self.forward_noise else x
        cooled, evaluations = self.sampler.reverse(self.model, noisy, level, self.stop, rows, noise)
        if self.conserve_mean:
            grid = tuple(range(2, x.ndim))
            cooled = cooled + (x - cooled).mean(grid, keepdim=True)
        return cooled, evaluations


def thresholds(config: ThermalizerConfig, diffusion: TrainedDiffusion) -> tuple[int, int]:
    """(start, stop) as noise levels, `auto` resolved from the calibration; stop −1 is clean."""
    start = auto_start(diffusion.calibration, config.false_trigger_rate) if config.start == "auto" else config.start
    if config.stop == "auto":
        return start, auto_stop(diffusion.calibration, diffusion.schedule, start)
    return start, CLEAN if config.stop == "clean" else min(config.stop, start)


def build(config: ThermalizerConfig, inputs: Inputs) -> Stabilizer:
    """A thermalizer, within control of band energies where that is asked for."""
    assert inputs.diffusion is not None, "a thermalizer needs a diffusion model"
    start, stop = thresholds(config, inputs.diffusion)
    trigger = TRIGGERS[config.trigger](config, inputs, start)
    sampler = samplers.build(config, inputs.diffusion.schedule)
    settings = (config.forward_noise, config.conserve_mean, config.guard)
    thermalizer = Thermalizer(inputs.diffusion.model, sampler, trigger, stop, *settings)
    return thermalizer if config.drift is None else drift.build(config.drift, thermalizer, inputs)

"""Samplers: ways from a noise level down to a lower one, one file per family, found by name.

| name    | order | network evaluations from level s to r                  | draws noise |
|---------|-------|--------------------------------------------------------|-------------|
| ddpm    | 1     | s − r, or `steps` where that is fewer                  | yes         |
| ddim    | 1     | the same                                               | where η > 0 |
| dpm2m   | 2     | the same                                               | no          |
| mean    | 0     | 1                                                      | no          |
"""

from __future__ import annotations

from collections.abc import Callable

from thermalize.config import ThermalizerConfig
from thermalize.diffusion.samplers.base import Sampler
from thermalize.diffusion.samplers.dpm2m import DPMSolver2M
from thermalize.diffusion.samplers.implicit import DDIM, DDPM, PosteriorMean
from thermalize.diffusion.schedule import Schedule

__all__ = ["DDIM", "DDPM", "SAMPLERS", "DPMSolver2M", "PosteriorMean", "Sampler", "build"]

SAMPLERS: dict[str, Callable[[Schedule, ThermalizerConfig], Sampler]] = {
    "ddpm": lambda schedule, config: DDPM(schedule, config.reverse_steps),
    "ddim": lambda schedule, config: DDIM(schedule, config.reverse_steps, config.eta or 0.0),
    "dpm2m": lambda schedule, config: DPMSolver2M(schedule, config.reverse_steps),
    "mean": lambda schedule, config: PosteriorMean(schedule),  # noqa: ARG005
}


def build(config: ThermalizerConfig, schedule: Schedule) -> Sampler:
    """The sampler that the configuration names, on the levels of `schedule`."""
    return SAMPLERS[config.sampler](schedule, config)
